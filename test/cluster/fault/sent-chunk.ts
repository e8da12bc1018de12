/** What a scripted origin was asked for, in chunks. */
import type { ScriptedOrigin } from '../../fault/origin.js';

/** Of the daemons that tests start. */
export const chunkBytes = 64 * 1024;

/** How often each chunk was asked for. What is smaller, and the whole file, is asked for when an image is pinned. */
export function sentChunks(origin: ScriptedOrigin): Map<number, number> {
  const counts = new Map<number, number>();
  for (const { start, end } of origin.requests) {
    if (end - start < chunkBytes || (start === 0 && end === origin.bytes.length)) continue;
    for (let chunk = Math.floor(start / chunkBytes); chunk * chunkBytes < end; chunk += 1) counts.set(chunk, (counts.get(chunk) ?? 0) + 1);
  }
  return counts;
}

export function sentChunkCount(origin: ScriptedOrigin): number {
  return [...sentChunks(origin).values()].reduce((sum, count) => sum + count, 0);
}
