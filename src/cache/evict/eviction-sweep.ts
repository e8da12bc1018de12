/**
 * One step of a sweep over a store: a stretch of its chunks is looked at, those of one class alone, and the unused among them are found.
 *
 * Chunks of the other class keep their used marks. The native sweep knows no classes, so it is called for each stretch of chunks that belong; absent chunks
 * don't divide one, and classes come in long stretches (a home has 4 MiB at a time).
 */
import { ChunkState } from '../../base/native.js';
import type { ChunkStore } from '../store/chunk-store.js';

export interface SweepStep {
  store: ChunkStore;
  /** Which chunks are looked at; `undefined`: all. Called once for each chunk with data; it may change its answers between steps. */
  belongs: ((chunkIndex: number) => boolean) | undefined;
  firstIndex: number;
  /** Chunks to look at, up to the store's end. */
  scanCount: number;
  /** The most to find. */
  maxCount: number;
  /** No second chance: what was used is found, too, unless it is pinned or busy. */
  force: boolean;
}

export interface SweepResult {
  found: number[];
  /** Chunks that were looked at: fewer than `scanCount` when `maxCount` were found before. */
  scannedCount: number;
  /** Whether chunks that belong were passed over: used, pinned or busy. Always true without `belongs`, where nobody counts. */
  spared: boolean;
}

export function sweepStep(step: SweepStep): SweepResult {
  const { store, belongs, firstIndex, scanCount } = step;
  const found: number[] = [];
  const end = firstIndex + scanCount;
  if (belongs === undefined) return { found, scannedCount: sweepStretch(step, found, firstIndex, end) - firstIndex, spared: true };
  let belongingCount = 0;
  let start: number | undefined;
  let chunk = firstIndex;
  const runs = store.runs(firstIndex, scanCount, scanCount);
  for (let index = 0; index + 1 < runs.length; index += 2) {
    const runEnd = chunk + (runs[index + 1] ?? 0);
    const hasData = runs[index] === ChunkState.present || runs[index] === ChunkState.unverified;
    for (; hasData && chunk < runEnd; chunk += 1) {
      if (belongs(chunk)) {
        belongingCount += 1;
        start ??= chunk;
      } else if (start !== undefined) {
        const next = sweepStretch(step, found, start, chunk);
        if (found.length === step.maxCount) return { found, scannedCount: next - firstIndex, spared: true };
        start = undefined;
      }
    }
    chunk = runEnd;
  }
  const next = start === undefined ? end : sweepStretch(step, found, start, end);
  return { found, scannedCount: next - firstIndex, spared: next < end || found.length < belongingCount };
}

/** Adds what is found from `from` to before `to`, up to `maxCount` in all; returns where it ended. */
function sweepStretch({ store, maxCount, force }: SweepStep, found: number[], from: number, to: number): number {
  // Once over clears the used marks, and nobody comes between.
  if (force) store.sweep(from, to - from, to - from);
  const [hand = to, ...more] = store.sweep(from, to - from, maxCount - found.length);
  found.push(...more);
  // A hand that passed the store's end stands at its beginning.
  return hand <= from ? to : hand;
}
