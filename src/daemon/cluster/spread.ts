/**
 * Has chunks brought to their homes, each once in the whole cluster: warming, and what a node that drains hands on.
 *
 * Each extent is asked of its home, of the next one when that fails, and of this node last; in the background, behind all guests.
 */
import { AbortedError, errorCode } from '../../base/error.js';
import type { ClusteredContent } from '../../cluster/clustered-content.js';
import type { Neighbourhood } from '../../cluster/neighbourhood.js';
import type { Content } from '../../image/content.js';

const atOnce = 8;

export interface Range {
  offset: number;
  lengthBytes: number;
}

export interface SpreadOptions {
  content: Content;
  clustered: ClusteredContent;
  neighbourhood: Neighbourhood;
  /** Each inside one extent. */
  ranges: readonly Range[];
  /** Whether this node may keep what no other home takes. */
  keepHere: boolean;
  deadlineMs: number;
  signal: AbortSignal;
  onDone(range: Range, taken: boolean): void;
}

/** Resolves when everything was tried; `onDone` tells what was taken. Rejects when aborted, or, where this node keeps, as its cache does. */
export async function spread(options: SpreadOptions): Promise<void> {
  const { ranges, signal, onDone } = options;
  let next = 0;
  const work = async (): Promise<void> => {
    for (let range = ranges[next++]; range !== undefined; range = ranges[next++]) {
      if (signal.aborted) throw new AbortedError('spreading chunks over their homes');
      onDone(range, await bring(options, range));
    }
  };
  try {
    await Promise.all(Array.from({ length: atOnce }, work));
  } finally {
    next = ranges.length;
  }
}

async function bring(options: SpreadOptions, { offset, lengthBytes }: Range): Promise<boolean> {
  const { content, clustered, neighbourhood, keepHere, deadlineMs, signal } = options;
  const chunk = Math.floor(offset / clustered.content.chunkBytes);
  for (const id of clustered.placement.homes(chunk)) {
    if (id === neighbourhood.selfId) break;
    const peer = neighbourhood.peer(id);
    if (peer === undefined || !clustered.standing.isTrusted(id)) continue;
    try {
      await peer.cacheHome(clustered.content, offset, lengthBytes, { signal, background: true });
      return true;
    } catch (error) {
      if (signal.aborted || errorCode(error) === 'ERR_ABORTED') throw error;
    }
  }
  if (!keepHere) return false;
  await content.cache.ensure(offset, lengthBytes, { role: 'home', background: true, deadlineMs, signal });
  return true;
}

/** The whole of a content in ranges of one extent each. */
export function extentsOf(clustered: ClusteredContent): Range[] {
  const { sizeBytes, chunkBytes } = clustered.content;
  const extentBytes = clustered.extentChunks * chunkBytes;
  const count = Math.ceil(sizeBytes / extentBytes);
  return Array.from({ length: count }, (_, index) => ({
    offset: index * extentBytes,
    lengthBytes: Math.min(extentBytes, sizeBytes - index * extentBytes),
  }));
}
