/**
 * A home's view of the holders of one content's chunks: one bitmap per peer. The home sets bits
 * when it serves the peer, and when the peer reports its cache.
 *
 * It is a hint, never a promise: peers evict without a message. A wrong hint costs one more hop,
 * then `remove` clears it.
 *
 * Invariants: memory is one bit per chunk and peer, reserved when a peer is first heard of, for at
 * most `peerLimit` peers. The kernel gives large bitmaps their pages only when they are touched. A
 * peer is in the map once.
 */
import type { CachedRun, PeerContent } from './peer.js';

/** Far beyond any cluster: names come from the wire. */
const peerLimit = 1024;

export class HolderMap {
  readonly #content: PeerContent;
  readonly #chunkCount: number;
  readonly #bitmaps = new Map<string, Uint8Array>();
  /**
   * State of the generator that spreads the load; not 0. It is the same in every map, so a
   * simulation repeats.
   */
  #chance = 0x9e3779b9;

  constructor(content: PeerContent) {
    this.#content = content;
    this.#chunkCount = Math.ceil(content.sizeBytes / content.chunkBytes);
  }

  /** Bytes of all bitmaps. */
  get bytes(): number {
    return this.#bitmaps.size * this.#bitmapBytes;
  }

  get peerIds(): readonly string[] {
    return [...this.#bitmaps.keys()];
  }

  /**
   * Notes that the peer was served these chunks, or reports that it holds them. Peers beyond the
   * limit are not remembered.
   */
  add(peerId: string, firstChunk: number, count: number): void {
    const bitmap = this.#bitmapOf(peerId);
    if (bitmap !== undefined) fill(bitmap, firstChunk, Math.min(firstChunk + count, this.#chunkCount), true);
  }

  /** Clears a wrong hint. */
  remove(peerId: string, chunkIndex: number): void {
    const bitmap = this.#bitmaps.get(peerId);
    if (bitmap !== undefined) fill(bitmap, chunkIndex, Math.min(chunkIndex + 1, this.#chunkCount), false);
  }

  /**
   * Replaces the known holders of a range by the answer of `Peer.cachedRuns`. A chunk counts as
   * held if all of it is.
   *
   * @param offset beginning of the first run, in bytes; the beginning of a chunk
   */
  set(peerId: string, runs: readonly CachedRun[], offset = 0): void {
    const bitmap = this.#bitmapOf(peerId);
    if (bitmap === undefined) return;
    const endOffset = runs.reduce((end, { lengthBytes }) => end + lengthBytes, offset);
    fill(bitmap, this.#chunksIn(offset), Math.min(Math.ceil(endOffset / this.#content.chunkBytes), this.#chunkCount), false);
    let heldOffset: number | undefined;
    let at = offset;
    // Neighbouring runs may be alike, so that a chunk is whole in two of them together.
    for (const { lengthBytes, cached } of [...runs, { lengthBytes: 0, cached: false }]) {
      if (cached) heldOffset ??= at;
      else if (heldOffset !== undefined) {
        fill(bitmap, Math.ceil(heldOffset / this.#content.chunkBytes), this.#chunksIn(at), true);
        heldOffset = undefined;
      }
      at += lengthBytes;
    }
  }

  /** Forgets a peer that is gone, or whose cache is. */
  drop(peerId: string): void {
    this.#bitmaps.delete(peerId);
  }

  /**
   * @returns peers that may hold the chunk. Each call begins with another of them, by chance, so
   * that asking the first spreads the load. Taking turns would always come to the same one if a
   * caller looks at as many chunks per request as there are holders
   */
  holders(chunkIndex: number): string[] {
    const holders: string[] = [];
    if (chunkIndex >= this.#chunkCount) return holders;
    for (const [peerId, bitmap] of this.#bitmaps) if (isSet(bitmap, chunkIndex)) holders.push(peerId);
    if (holders.length > 1) holders.push(...holders.splice(0, this.#below(holders.length)));
    return holders;
  }

  /**
   * @returns the number of chunks from `firstChunk` on, at most `count`, that the peer may hold
   * without a gap: they travel as one request
   */
  heldRun(peerId: string, firstChunk: number, count: number): number {
    const bitmap = this.#bitmaps.get(peerId);
    let run = 0;
    while (run < count && isSet(bitmap, firstChunk + run)) run += 1;
    return run;
  }

  /** Chunks that end at or before the offset: the last one of the image may be short. */
  #chunksIn(offset: number): number {
    return offset >= this.#content.sizeBytes ? this.#chunkCount : Math.floor(offset / this.#content.chunkBytes);
  }

  get #bitmapBytes(): number {
    return Math.ceil(this.#chunkCount / 8);
  }

  #bitmapOf(peerId: string): Uint8Array | undefined {
    let bitmap = this.#bitmaps.get(peerId);
    if (bitmap !== undefined || this.#bitmaps.size === peerLimit) return bitmap;
    bitmap = new Uint8Array(this.#bitmapBytes);
    this.#bitmaps.set(peerId, bitmap);
    return bitmap;
  }

  /** An integer from 0 to `limit` - 1. Marsaglia's xorshift. */
  #below(limit: number): number {
    this.#chance ^= this.#chance << 13;
    this.#chance ^= this.#chance >>> 17;
    this.#chance ^= this.#chance << 5;
    return Math.floor(((this.#chance >>> 0) / 2 ** 32) * limit);
  }
}

function isSet(bitmap: Uint8Array | undefined, chunkIndex: number): boolean {
  return (((bitmap?.[chunkIndex >>> 3] ?? 0) >>> (chunkIndex & 7)) & 1) === 1;
}

function fill(bitmap: Uint8Array, firstChunk: number, endChunk: number, held: boolean): void {
  let chunk = firstChunk;
  while (chunk < endChunk) {
    if (chunk % 8 === 0 && endChunk - chunk >= 8) {
      // Whole bytes at once.
      const wholeBytes = Math.floor((endChunk - chunk) / 8);
      bitmap.fill(held ? 0xff : 0, chunk / 8, chunk / 8 + wholeBytes);
      chunk += wholeBytes * 8;
      continue;
    }
    const bit = 1 << (chunk % 8);
    const byte = bitmap[chunk >>> 3] ?? 0;
    bitmap[chunk >>> 3] = held ? byte | bit : byte & ~bit;
    chunk += 1;
  }
}
