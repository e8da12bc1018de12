/** What a range of a disk consists of: its overlay's runs of blocks, those that are here (data and zeros) as one. */
import { BlockState, blockBytes, type NativeOverlayFile } from '../../base/native/overlay.js';
import { mergeExtent } from '../../block/merge-extent.js';

/** Where a piece's bytes are: in this overlay, below it, or in the overlay of another node. */
export type Place = 'here' | 'base' | 'remote';

export interface Piece {
  place: Place;
  offset: number;
  lengthBytes: number;
}

const oneBlock = new Uint8Array(1);

/** State of the block that the byte is in, a BlockState. Cheaper than a piece: nothing is made. */
export function stateAt(overlay: NativeOverlayFile, offset: number): number {
  overlay.copyMap(oneBlock, 0, Math.floor(offset / blockBytes), 1, false);
  return (oneBlock[0] ?? 0) & stateBits;
}

/** Of the map's byte. */
const stateBits = 3;

/** Runs that are looked at to put one piece together. */
const runsAtOnce = 16;

/**
 * The pieces of the range, at least one, from its start on: all of it, or as many as `maxRuns` runs of the map make. Adjacent ones differ in place, but for remote ones of different nodes.
 * They are what they were when they were asked for: a block that was `base` or `remote` may become one that is here, never the other way.
 */
export function piecesOf(overlay: NativeOverlayFile, offset: number, lengthBytes: number, maxRuns: number): Piece[] {
  const runs = overlay.runs(offset, lengthBytes, maxRuns);
  const pieces: Piece[] = [];
  let at = offset;
  for (let index = 0; index + 2 < runs.length; index += 3) {
    const place = placeOf(runs[index]);
    const runBytes = runs[index + 2] ?? 0;
    mergeExtent(pieces, { place, offset: at, lengthBytes: runBytes }, (last) => last.place === place && place !== 'remote');
    at += runBytes;
  }
  return pieces;
}

/** The first piece of the range; it may go on. */
export function firstPiece(overlay: NativeOverlayFile, offset: number, lengthBytes: number): Piece {
  const [piece] = piecesOf(overlay, offset, lengthBytes, runsAtOnce);
  if (piece === undefined) throw new RangeError(`no blocks at ${offset}`);
  return piece;
}

function placeOf(state: number | undefined): Place {
  if (state === BlockState.base) return 'base';
  return state === BlockState.remote ? 'remote' : 'here';
}
