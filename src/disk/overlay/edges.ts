/**
 * The first and last block of a range that does not begin or end where a block does: what a write needs to know of what lies below.
 *
 * A block that is here by the time it is written is completed from the overlay, whatever is given: so what is read may be old, but never of a block that was base or remote to the end.
 */

import { BlockState, blockBytes, type NativeOverlayFile } from '../../base/native/overlay.js';
import type { RequestOptions } from '../../block/read-options.js';
import type { BelowOverlay } from './below.js';
import { stateAt } from './piece.js';
import type { DiskReader } from './reader.js';

/** A block that is written in part, and its place among the edges that the overlay takes. */
interface Edge {
  offset: number;
  start: number;
}

export class DiskEdges {
  readonly #overlay: NativeOverlayFile;
  readonly #base: BelowOverlay;
  readonly #reader: DiskReader;

  constructor(overlay: NativeOverlayFile, base: BelowOverlay, reader: DiskReader) {
    this.#overlay = overlay;
    this.#base = base;
    this.#reader = reader;
  }

  /** As `NativeOverlayFile.write` takes them. */
  async read(offset: number, lengthBytes: number, options: RequestOptions): Promise<Buffer> {
    const { edges, buffer } = this.#missing(offset, lengthBytes);
    const reads = await Promise.allSettled(
      edges.map((edge) => this.#reader.read(buffer.subarray(edge.start, edge.start + blockBytes), edge.offset, options)),
    );
    const failed = reads.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    return buffer;
  }

  /** The same if they are known without asking anybody, not even a disk: zeros below. */
  readNow(offset: number, lengthBytes: number): Buffer | undefined {
    const { edges, buffer } = this.#missing(offset, lengthBytes);
    return edges.every((edge) => edge.state === BlockState.base && this.#base.isZeroNow(edge.offset, blockBytes)) ? buffer : undefined;
  }

  /** Those that are not here, and zeros to read them into. */
  #missing(offset: number, lengthBytes: number): { edges: (Edge & { state: number })[]; buffer: Buffer } {
    const end = offset + lengthBytes;
    const first = offset - (offset % blockBytes);
    const last = end - 1 - ((end - 1) % blockBytes);
    const ragged: Edge[] = [];
    if (offset > first || end < first + blockBytes) ragged.push({ offset: first, start: 0 });
    if (last > first && end < last + blockBytes) ragged.push({ offset: last, start: blockBytes });
    const edges = ragged
      .map((edge) => ({ ...edge, state: stateAt(this.#overlay, edge.offset) }))
      .filter(({ state }) => state === BlockState.base || state === BlockState.remote);
    return { edges, buffer: Buffer.alloc(last > first ? 2 * blockBytes : blockBytes) };
  }
}
