/** What kind of run a seed is: drawn from the seed itself, but for how many nodes there are and whether anything happens to them. */
import type { Chance } from './chance.js';

export interface RunOptions {
  seed: number;
  nodeCount: number;
  /** Nothing fails: then the origin sends nothing twice that anybody holds, without exception. */
  isCalm: boolean;
}

export interface Profile extends RunOptions {
  extentCount: number;
  activePerExtent: number;
  isSealed: boolean;
  /** Nodes with guests. */
  readerCount: number;
  guestsPerReader: number;
  /** Guests read until then. */
  readMs: number;
  /** When everything that was broken is well again. */
  healMs: number;
  /** By then all know each other again. */
  endMs: number;
  faultCount: number;
  memoryChunks: number;
  readaheadChunks: number;
  /** Chunks that a node's cache holds, the least and the most. */
  cacheChunks: readonly [number, number];
  pingIntervalMs: number;
  /** Nodes ping each other; otherwise they are told. */
  isProbed: boolean;
}

const probedLimit = 60;
/** The first guests come when neighbours know each other. */
export const guestStartMs = 4000;

export function profileOf(options: RunOptions, chance: Chance): Profile {
  const { nodeCount, isCalm } = options;
  const isProbed = nodeCount <= probedLimit;
  const readMs = nodeCount <= 20 ? 30_000 : isProbed ? 12_000 : 8000;
  const activeChunks = 64;
  const activePerExtent = chance.pick([4, 8]);
  const isTight = chance.happens(0.5);
  return {
    ...options,
    extentCount: activeChunks / activePerExtent,
    activePerExtent,
    isSealed: chance.happens(0.7),
    readerCount: Math.min(nodeCount, isProbed ? 30 : 40),
    guestsPerReader: nodeCount <= 20 ? 3 : 1,
    readMs,
    healMs: readMs * 0.8,
    endMs: readMs + 20_000,
    faultCount: isCalm ? 0 : Math.round(chance.between(3, isProbed ? 14 : 8)),
    memoryChunks: chance.pick([4, 8, 64]),
    readaheadChunks: chance.pick([0, 0, 4]),
    cacheChunks: isTight ? [8, 48] : [64, 256],
    pingIntervalMs: nodeCount <= 20 ? 1000 : 4000,
    isProbed,
  };
}
