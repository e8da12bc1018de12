/**
 * A disk's bytes, put together from its overlay, from what lies below it, and from other nodes.
 *
 * Invariants: where a piece lies is looked at in the turn in which it is asked for, so a write that was acknowledged before the read began is always seen; the target is written by nobody once a read settled.
 */

import type { Clock } from '../../base/clock.js';
import { BlockState, blockBytes, type NativeOverlayFile, OverlayReadNow } from '../../base/native/overlay.js';
import type { Place } from '../../block/place.js';
import type { RequestOptions } from '../../block/read-options.js';
import { RequestTime } from '../../device/request-time.js';
import type { BelowOverlay } from './below.js';
import { firstPiece, type Piece, piecesOf, stateAt } from './piece.js';
import { fetchBytes, type RemoteFetcher } from './remote.js';

/** Runs that are looked at without waiting: a range that is more checkered is worth a thread. */
const runsNow = 16;
/** Pieces of one request that are under way together. */
const piecesAtOnce = 16;

/** What counts for a request is the farthest place that any of its bytes came from. */
const distance: Record<Place, number> = { cache: 0, peer: 1, origin: 2 };

export class DiskReader {
  readonly #overlay: NativeOverlayFile;
  readonly #base: BelowOverlay;
  readonly #remote: RemoteFetcher;
  readonly #clock: Clock;

  constructor(options: { overlay: NativeOverlayFile; base: BelowOverlay; remote: RemoteFetcher; clock: Clock }) {
    this.#overlay = options.overlay;
    this.#base = options.base;
    this.#remote = options.remote;
    this.#clock = options.clock;
  }

  readNow(target: Buffer, targetStart: number, lengthBytes: number, offset: number): boolean {
    const found = this.#overlay.readNow(target, targetStart, lengthBytes, offset);
    if (found === OverlayReadNow.hit) return true;
    if (found === OverlayReadNow.base) return this.#base.readNow(target, targetStart, lengthBytes, offset);
    if (found === OverlayReadNow.wouldBlock) return false;
    const pieces = this.#piecesNow(offset, lengthBytes);
    return (
      pieces?.every(({ place, offset: at, lengthBytes: pieceBytes }) => {
        const start = targetStart + at - offset;
        if (place === 'base') return this.#base.readNow(target, start, pieceBytes, at);
        return place === 'here' && this.#overlay.readNow(target, start, pieceBytes, at) === OverlayReadNow.hit;
      }) ?? false
    );
  }

  isZeroNow(offset: number, lengthBytes: number): boolean {
    // Asked before each read, of which most are of data, or within a block.
    const state = stateAt(this.#overlay, offset);
    if (state === BlockState.data || state === BlockState.remote) return false;
    if (state === BlockState.base && (offset % blockBytes) + lengthBytes <= blockBytes) return this.#base.isZeroNow(offset, lengthBytes);
    if (state === BlockState.zero && this.#overlay.isZero(offset, lengthBytes)) return true;
    const pieces = this.#piecesNow(offset, lengthBytes);
    return (
      pieces?.every(({ place, offset: at, lengthBytes: pieceBytes }) => {
        if (place === 'base') return this.#base.isZeroNow(at, pieceBytes);
        return place === 'here' && this.#overlay.isZero(at, pieceBytes);
      }) ?? false
    );
  }

  /** Fills the target. */
  async read(target: Buffer, offset: number, options: RequestOptions): Promise<Place> {
    const time = new RequestTime(`read of a disk at byte ${offset}`, options, this.#clock);
    let farthest: Place = 'cache';
    await this.#eachPiece(offset, target.length, async ({ place, offset: at, lengthBytes }) => {
      const source = await this.#readPiece(place, target.subarray(at - offset, at - offset + lengthBytes), at, time);
      if (source !== undefined && distance[source] > distance[farthest]) farthest = source;
      return source !== undefined;
    });
    return farthest;
  }

  /** Brings the range to this host: what is below by the base's own means, what is on other nodes into the overlay. */
  async cache(offset: number, lengthBytes: number, options: RequestOptions): Promise<void> {
    // The time is for each wait, not for all of a large range.
    await this.#eachPiece(offset, lengthBytes, async ({ place, offset: at, lengthBytes: pieceBytes }) => {
      if (place === 'base') await this.#base.cache(at, pieceBytes, options);
      if (place === 'remote')
        return await this.#remote.store(at, pieceBytes, new RequestTime(`bringing a disk's bytes at ${at}`, options, this.#clock));
      return true;
    });
  }

  /** Resolves to `undefined` when the piece has changed its place. */
  async #readPiece(place: Piece['place'], target: Buffer, offset: number, time: RequestTime): Promise<Place | undefined> {
    if (place === 'here') return (await this.#overlay.read(target, 0, target.length, offset)) ? 'cache' : undefined;
    if (place === 'base') return await this.#base.read(target, offset, time.left());
    return (await this.#remote.read(target, offset, time)) ? 'peer' : undefined;
  }

  /**
   * Calls `work` for the pieces of the range, some at a time; remote ones no longer than is fetched at once. One for which it resolves to `false`, or that it failed for in a place that it has left, is looked at again.
   * Settles when nothing is under way any more; rejects with the first failure, after which nothing is begun.
   */
  async #eachPiece(offset: number, lengthBytes: number, work: (piece: Piece) => Promise<boolean>): Promise<void> {
    const end = offset + lengthBytes;
    let next = offset;
    let failure: { error: unknown } | undefined;
    const goOn = async (): Promise<void> => {
      while (next < end && failure === undefined) {
        const piece = this.#piece(next, end);
        next += piece.lengthBytes;
        try {
          if (!(await this.#tryPiece(piece, work))) await this.#eachPiece(piece.offset, piece.lengthBytes, work);
        } catch (error) {
          failure ??= { error };
        }
      }
    };
    const workers: Promise<void>[] = [];
    while (next < end && workers.length < piecesAtOnce) workers.push(goOn());
    await Promise.all(workers);
    if (failure !== undefined) throw failure.error;
  }

  async #tryPiece(piece: Piece, work: (piece: Piece) => Promise<boolean>): Promise<boolean> {
    try {
      return await work(piece);
    } catch (error) {
      // Another brought the blocks, or wrote them, and the node that had them may have let go.
      const now = this.#piece(piece.offset, piece.offset + piece.lengthBytes);
      if (piece.place === 'remote' && (now.place !== 'remote' || now.lengthBytes < piece.lengthBytes)) return false;
      throw error;
    }
  }

  #piece(offset: number, end: number): Piece {
    const piece = firstPiece(this.#overlay, offset, end - offset);
    if (piece.place !== 'remote') return piece;
    const lineEnd = offset - (offset % fetchBytes) + fetchBytes;
    return { ...piece, lengthBytes: Math.min(piece.lengthBytes, lineEnd - offset) };
  }

  /** `undefined`: there are too many. */
  #piecesNow(offset: number, lengthBytes: number): Piece[] | undefined {
    const pieces = piecesOf(this.#overlay, offset, lengthBytes, runsNow);
    const last = pieces.at(-1);
    return last !== undefined && last.offset + last.lengthBytes === offset + lengthBytes ? pieces : undefined;
  }
}
