/** Allocation of a disk, for BLOCK_STATUS: the truth over its overlay and what lies below. Both follow the rules of `BlockDevice.extents`. */

import { BlockState, type NativeOverlayFile } from '../../base/native/overlay.js';
import type { CachedExtent, Extent } from '../../block/extent.js';
import { mergeExtent } from '../../block/merge-extent.js';
import type { RequestOptions } from '../../block/read-options.js';
import type { BelowOverlay } from './below.js';

/** Runs that are looked at together: memory stays bounded on a checkered map. */
const runsAtOnce = 256;

/** Consecutive extents of which adjacent ones differ, at most `maxCount`. */
class Merged<T extends { lengthBytes: number }> {
  readonly extents: T[] = [];
  readonly #maxCount: number;
  readonly #alike: (left: T, right: T) => boolean;
  #isFull = false;

  constructor(maxCount: number, alike: (left: T, right: T) => boolean) {
    this.#maxCount = maxCount;
    this.#alike = alike;
  }

  /** Whether an extent was turned away: nothing more may be added. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** How many may be added that differ, and one more, which may be like the last. */
  get roomCount(): number {
    return this.#maxCount - this.extents.length + 1;
  }

  add(extent: T): void {
    if (!mergeExtent(this.extents, { ...extent }, this.#alike, this.#maxCount)) this.#isFull = true;
  }
}

/** Runs of one state each, in order; looked at again in steps, so that a caller that waits between two sees what is then. */
function* stateRuns(
  overlay: NativeOverlayFile,
  offset: number,
  lengthBytes: number,
): Generator<{ state: number | undefined; offset: number; lengthBytes: number }> {
  for (let at = offset; at < offset + lengthBytes; ) {
    const runs = overlay.runs(at, offset + lengthBytes - at, runsAtOnce);
    for (let index = 0; index + 2 < runs.length; index += 3) {
      const runBytes = runs[index + 2] ?? 0;
      yield { state: runs[index], offset: at, lengthBytes: runBytes };
      at += runBytes;
    }
  }
}

export async function diskExtents(
  overlay: NativeOverlayFile,
  base: BelowOverlay,
  offset: number,
  lengthBytes: number,
  maxCount: number,
  options: RequestOptions,
): Promise<Extent[]> {
  const merged = new Merged<Extent>(maxCount, (left, right) => left.zero === right.zero && left.hole === right.hole);
  for (const run of stateRuns(overlay, offset, lengthBytes)) {
    const zero = run.state === BlockState.zero;
    if (run.state !== BlockState.base) merged.add({ lengthBytes: run.lengthBytes, zero, hole: zero });
    for (let doneBytes = 0; run.state === BlockState.base && doneBytes < run.lengthBytes && !merged.isFull; ) {
      for (const extent of await base.extents(run.offset + doneBytes, run.lengthBytes - doneBytes, merged.roomCount, options)) {
        merged.add(extent);
        doneBytes += extent.lengthBytes;
        if (merged.isFull) break;
      }
    }
    if (merged.isFull) break;
  }
  return merged.extents;
}

export function diskCachedExtents(
  overlay: NativeOverlayFile,
  base: BelowOverlay,
  offset: number,
  lengthBytes: number,
  maxCount: number,
): CachedExtent[] {
  const merged = new Merged<CachedExtent>(maxCount, (left, right) => left.cached === right.cached);
  for (const run of stateRuns(overlay, offset, lengthBytes)) {
    if (run.state !== BlockState.base) merged.add({ lengthBytes: run.lengthBytes, cached: run.state !== BlockState.remote });
    for (let doneBytes = 0; run.state === BlockState.base && doneBytes < run.lengthBytes && !merged.isFull; ) {
      for (const extent of base.cachedExtents(run.offset + doneBytes, run.lengthBytes - doneBytes, merged.roomCount)) {
        merged.add(extent);
        doneBytes += extent.lengthBytes;
        if (merged.isFull) break;
      }
    }
    if (merged.isFull) break;
  }
  return merged.extents;
}
