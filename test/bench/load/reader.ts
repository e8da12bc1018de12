/** Closed-loop load by an NBD client: the same client for every server. For cold reads, where the origin's latency is the limit, not the client. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Trace } from '../harness/trace.js';

/** One NBD connection. Resolves when all bytes have arrived. */
export interface Reader {
  read(offset: number, lengthBytes: number): Promise<void>;
  close(): Promise<void>;
}

export interface LoadResult {
  operations: number;
  seconds: number;
}

/**
 * Reads `lengthBytes` at each offset, `depth` in flight, in the order given.
 *
 * @param limitMs no read is sent after this time: a slow server is measured by what it got done
 */
export async function readEach(
  reader: Reader,
  offsets: readonly number[],
  options: { lengthBytes: number; depth: number; limitMs: number },
): Promise<LoadResult> {
  const startMs = performance.now();
  let operations = 0;
  let next = 0;
  let lastMs = startMs;
  const lane = async (): Promise<void> => {
    while (performance.now() - startMs < options.limitMs) {
      const offset = offsets[next];
      next += 1;
      if (offset === undefined) return;
      await reader.read(offset, options.lengthBytes);
      operations += 1;
      lastMs = performance.now();
    }
  };
  await Promise.all(Array.from({ length: options.depth }, lane));
  return { operations, seconds: (lastMs - startMs) / 1000 };
}

/**
 * Replays a boot: each read is sent when the one before is answered, as a guest waits that can't go on.
 *
 * @param keepGaps wait the recorded time between reads as well: what the guest did meanwhile
 * @returns seconds to the answer of the last read
 */
export async function replay(reader: Reader, trace: Trace, keepGaps: boolean): Promise<LoadResult> {
  const startMs = performance.now();
  let owedMs = 0; // timers have 1 ms resolution: what they cost too much or too little is carried on
  for (const { gapMs, offset, lengthBytes } of trace.reads) {
    if (keepGaps) {
      owedMs += gapMs;
      if (owedMs >= 1) {
        const beforeMs = performance.now();
        await sleep(owedMs);
        owedMs -= performance.now() - beforeMs;
      }
    }
    await reader.read(offset, lengthBytes);
  }
  return { operations: trace.reads.length, seconds: (performance.now() - startMs) / 1000 };
}
