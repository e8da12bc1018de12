/**
 * Brings chunks to their homes, each once in the whole cluster. Warming and draining use it.
 *
 * Each range is offered to its home, to the next home if that fails, and to this node last. All of
 * it goes in the background, behind the requests of guests.
 */
import { AbortedError, errorCode } from '../base/error.js';
import type { ClusteredContent } from './clustered-content.js';
import type { Neighbourhood } from './neighbourhood.js';

/** Ranges under way at once. */
const parallelCount = 8;

export interface Range {
  offset: number;
  lengthBytes: number;
}

export interface SpreadOptions {
  clustered: ClusteredContent;
  neighbourhood: Neighbourhood;
  /** Ranges that each lie inside one extent. */
  ranges: readonly Range[];
  /** Keeps a range here that no home before this node takes; absent: this node keeps none. */
  keep: ((range: Range) => Promise<unknown>) | undefined;
  signal: AbortSignal;
  /** Called once for each range. `isTaken` is false if no node keeps it. */
  onDone(range: Range, isTaken: boolean): void;
}

/** Resolves when each range was tried. @throws CopseError `ERR_ABORTED`, and as `keep` does */
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
    await Promise.all(Array.from({ length: parallelCount }, work));
  } finally {
    next = ranges.length;
  }
}

async function bring(options: SpreadOptions, range: Range): Promise<boolean> {
  const { clustered, neighbourhood, keep, signal } = options;
  const { offset, lengthBytes } = range;
  const chunk = Math.floor(offset / clustered.content.chunkBytes);
  for (const id of clustered.placement.homes(chunk)) {
    if (id === neighbourhood.selfId) break;
    const peer = neighbourhood.peer(id);
    if (peer === undefined || !clustered.trust.isTrusted(id)) continue;
    try {
      await peer.cacheHome(clustered.content, offset, lengthBytes, { signal, background: true });
      return true;
    } catch (error) {
      if (signal.aborted || errorCode(error) === 'ERR_ABORTED') throw error;
    }
  }
  if (keep === undefined) return false;
  await keep(range);
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
