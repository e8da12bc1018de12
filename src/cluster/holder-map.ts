/**
 * What a home knows of who holds which chunks of one content: a bitmap a peer, fed by serving it and by what it says itself.
 *
 * A hint, never a promise: peers evict without a message. A wrong one costs one more hop, then `remove` it.
 *
 * Invariants: memory is one bit a chunk and peer, reserved when a peer is first heard of, at most `peerLimit` peers; the kernel gives large bitmaps their
 * pages only when they are touched. Nobody is in the map twice.
 */
import type { CachedRun, PeerContent } from './peer.js';

/** Far beyond any cluster: names come from the wire. */
const peerLimit = 1024;

export class HolderMap {
  readonly #content: PeerContent;
  readonly #chunkCount: number;
  readonly #bitmaps = new Map<string, Uint8Array>();
  /** State of the generator that spreads the load; not 0. The same in every map: a simulation repeats. */
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

  /** The peer was served these chunks, or says that it holds them. Beyond the limit of peers it is not remembered. */
  add(peerId: string, firstChunk: number, count: number): void {
    const bitmap = this.#bitmapOf(peerId);
    if (bitmap !== undefined) fill(bitmap, firstChunk, Math.min(firstChunk + count, this.#chunkCount), true);
  }

  /** The hint was wrong. */
  remove(peerId: string, chunkIndex: number): void {
    const bitmap = this.#bitmaps.get(peerId);
    if (bitmap !== undefined) fill(bitmap, chunkIndex, Math.min(chunkIndex + 1, this.#chunkCount), false);
  }

  /**
   * What `Peer.cachedRuns` answered takes the place of what was known of that range. A chunk counts as held when all of it is.
   *
   * @param offset where the first run begins, in bytes; a chunk's beginning
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

  /** The peer is gone, or its cache is. */
  drop(peerId: string): void {
    this.#bitmaps.delete(peerId);
  }

  /**
   * Who may hold the chunk. Each call begins with another of them, by chance, so that asking the first spreads the load: taking turns would always come to the same one
   * where a caller looks at as many chunks for each request as there are holders.
   */
  holders(chunkIndex: number): string[] {
    const holders: string[] = [];
    if (chunkIndex >= this.#chunkCount) return holders;
    for (const [peerId, bitmap] of this.#bitmaps) if (isSet(bitmap, chunkIndex)) holders.push(peerId);
    if (holders.length > 1) holders.push(...holders.splice(0, this.#below(holders.length)));
    return holders;
  }

  /** How many chunks from `firstChunk` on, at most `count`, the peer may hold without a gap: they travel as one request. */
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
