/**
 * One cached image on this host's disk: a sparse data file, and a map with one record per chunk.
 *
 * An image without readers holds no descriptors. The addon opens the files with the first call that
 * needs them, and `park` closes them again. The states of the chunks stay in memory.
 *
 * Invariants: calls that change chunks keep the order of `ChunkOrder`. The map is marked clean
 * (`CleanMark`) only with no chunk left unverified, because a record does not tell an unverified
 * chunk from a present one.
 */
import { open } from 'node:fs/promises';
import { ClosedError } from '../../base/error.js';
import { ChunkState, type ChunkStateValue, type NativeChunkFile, ReadNow } from '../../base/native/chunk.js';
import { native } from '../../base/native/loader.js';
import { ChunkOrder } from './chunk-order.js';
import { CleanMark } from './clean-mark.js';
import { mapHeaderBytes } from './map-header.js';
import { type ChunkStoreOptions, inspectStoreFiles } from './store-files.js';

/**
 * Bound on the chunks of a map that the constructor loads by itself; waking a thread would take
 * longer.
 */
const mostLoadedNow = 16_384;

export class ChunkStore {
  readonly sizeBytes: number;
  readonly chunkBytes: number;
  readonly chunkCount: number;
  readonly #file: NativeChunkFile;
  readonly #options: ChunkStoreOptions;
  readonly #mark: CleanMark;
  readonly #order = new ChunkOrder();
  #closing: Promise<void> | undefined;
  /** Resolves when the records of the map are in memory. */
  readonly ready: Promise<void>;
  /** True if a call since the last `park` needed the files. */
  #wasUsed = false;
  #bytesListener: (dataBytes: number) => void = () => {};

  constructor(options: ChunkStoreOptions) {
    this.#options = options;
    this.sizeBytes = options.sizeBytes;
    this.chunkBytes = options.chunkBytes;
    const { trusted, isUntouched } = inspectStoreFiles(options);
    this.#mark = new CleanMark(options, isUntouched, () => this.sync());
    this.chunkCount = Math.ceil(options.sizeBytes / options.chunkBytes);
    const load = this.chunkCount <= mostLoadedNow;
    this.#file = native.openChunkFile({ ...options, recordsOffset: mapHeaderBytes, trusted, load });
    this.ready = load ? Promise.resolve() : this.#file.load().then(() => this.#recount());
    // A failure reaches the callers that await `ready`.
    this.ready.catch(() => {});
  }

  /**
   * File for native threads to read from; `undefined` from `close` on. The caller takes it back
   * from them before `close`.
   */
  get file(): NativeChunkFile | undefined {
    return this.#closing === undefined ? this.#file : undefined;
  }

  /**
   * Bytes on the disk, including unverified ones; 0 from `close` on, when nothing can be evicted
   * any more.
   */
  get dataBytes(): number {
    return this.#closing === undefined ? this.#file.dataBytes : 0;
  }

  /** Bytes of chunks that are not verified yet; 0 from `close` on. */
  get unverifiedBytes(): number {
    return this.#closing === undefined ? this.#file.unverifiedBytes : 0;
  }

  /** True if descriptors are open; false from `close` on. */
  get isOpen(): boolean {
    return this.#closing === undefined && this.#file.isOpen;
  }

  /**
   * Calls the listener with `dataBytes` now, and after each change. One listener; the last call
   * counts.
   */
  onDataBytes(listener: (dataBytes: number) => void): void {
    this.#bytesListener = listener;
    this.#recount();
  }

  /** Bytes that are known to be zeros and take no space; 0 from `close` on. */
  get zeroBytes(): number {
    return this.#closing === undefined ? this.#file.zeroBytes : 0;
  }

  state(chunkIndex: number): ChunkStateValue {
    return this.#file.state(chunkIndex);
  }

  /** Returns true if the chunk can be read without verification. */
  isHeld(chunkIndex: number): boolean {
    const state = this.#file.state(chunkIndex);
    return state === ChunkState.present || state === ChunkState.zero;
  }

  runs(firstIndex: number, chunkCount: number, maxRuns: number): Uint32Array {
    return this.#file.runs(firstIndex, chunkCount, maxRuns);
  }

  isZero(offset: number, lengthBytes: number): boolean {
    return this.#file.isZero(offset, lengthBytes);
  }

  /** Bytes of a chunk: `chunkBytes`, less for the last one. */
  lengthOf(chunkIndex: number): number {
    return Math.min(this.chunkBytes, this.sizeBytes - chunkIndex * this.chunkBytes);
  }

  /**
   * Reads a hit: all chunks are present or zero, and their bytes are in the page cache. With
   * `guest` the chunks are touched.
   */
  readNow(target: Uint8Array, targetStart: number, lengthBytes: number, offset: number, guest = false): boolean {
    this.#wasUsed = true;
    return this.#file.readNow(target, targetStart, lengthBytes, offset, guest) === ReadNow.hit;
  }

  /** Chunks that guests touched since the store was opened; 0 from `close` on. */
  get touchedCount(): number {
    return this.#closing === undefined ? this.#file.touchedCount : 0;
  }

  isTouched(chunkIndex: number): boolean {
    return this.#closing === undefined && this.#file.isTouched(chunkIndex);
  }

  touch(firstIndex: number, chunkCount: number): void {
    this.#file.touch(firstIndex, chunkCount);
  }

  /**
   * Marks a chunk, so that native lanes leave its next read to JavaScript. Does nothing from
   * `close` on.
   */
  setMark(chunkIndex: number, marked: boolean): void {
    if (this.#closing === undefined) this.#file.setMark(chunkIndex, marked);
  }

  /**
   * Reads chunks that are present or zero, from the disk if needed. Resolves to false if any is
   * not; the target's content is undefined then.
   */
  read(target: Uint8Array, targetStart: number, lengthBytes: number, offset: number): Promise<boolean> {
    this.#wasUsed = true;
    return this.#file.read(target, targetStart, lengthBytes, offset);
  }

  /**
   * Stores one chunk without a sync, in the order of `ChunkOrder`. At most one store or verify of a
   * chunk runs at a time.
   */
  store(chunkIndex: number, source: Uint8Array): Promise<ChunkStateValue> {
    return this.#order.store(chunkIndex, async () => {
      // A store earlier in the line may have stored the same chunk.
      if (this.isHeld(chunkIndex)) return this.#file.state(chunkIndex);
      return this.#change(() => this.#file.store(chunkIndex, source, 0));
    });
  }

  /** Stores one chunk of zeros. Calls for one chunk join. */
  storeZero(chunkIndex: number): Promise<void> {
    return this.#order.storeZero(chunkIndex, () => this.#change(() => this.#file.storeZero(chunkIndex, 1)));
  }

  /** Reads the bytes of a chunk from the disk, right or wrong. Rejects if they can't be read. */
  async readRaw(chunkIndex: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(this.lengthOf(chunkIndex));
    const file = await open(this.#options.dataPath);
    try {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, chunkIndex * this.chunkBytes);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  }

  /**
   * Compares a chunk with its checksum. Resolves to false if it differed and was dropped. An absent
   * chunk, or one that an eviction takes, is not wrong.
   *
   * Rejects if the chunk can't be read; it stays as it was. At most one store or verify of a chunk
   * runs at a time.
   */
  async verify(chunkIndex: number): Promise<boolean> {
    await this.#order.afterEviction(chunkIndex);
    if (this.#file.state(chunkIndex) === ChunkState.absent) return true;
    return this.#change(() => this.#file.verify(chunkIndex));
  }

  /**
   * Sweeps `maxScan` chunks from `handIndex`, wrapping round, with a second chance. Finds at most
   * `maxCount` chunks without a use since the last pass, and clears the marks of the others.
   * Returns `[next hand, chunk, chunk, …]`.
   */
  sweep(handIndex: number, maxScan: number, maxCount: number): Uint32Array {
    return this.#closing === undefined ? this.#file.sweep(handIndex, maxScan, maxCount) : Uint32Array.of(handIndex);
  }

  /**
   * Frees chunks (map, sync, punch). Skips chunks in use, and chunks that clients have not taken
   * from their sockets. Resolves to the bytes freed.
   */
  evict(chunkIndices: Uint32Array): Promise<number> {
    return this.#order.evict(
      chunkIndices,
      this.#change(() => this.#file.evict(chunkIndices)),
    );
  }

  /**
   * Closes the descriptors if no call needed them since the last `park`, and no read is under way.
   * Changes are synced first, so that an error of the disk is noticed before the file closes.
   *
   * @returns true if the descriptors are closed
   */
  async park(): Promise<boolean> {
    if (this.#closing !== undefined) return true;
    const wasUsed = this.#wasUsed;
    this.#wasUsed = false;
    if (wasUsed || this.#file.isInUse) return false;
    if (this.#mark.isDirty) await this.#mark.sync();
    if (this.#closing !== undefined || !this.#file.isOpen) return true;
    if (this.#mark.isDirty || this.#wasUsed) return false;
    return this.#file.park();
  }

  /**
   * Syncs everything, marks the map clean and closes. Idempotent. Never rejects: chunks that could
   * not be synced cost a checksum at their next read.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Syncs data, then the map, to the disk. */
  protected sync(): Promise<void> {
    return this.#file.sync();
  }

  async #close(): Promise<void> {
    this.#bytesListener(0);
    this.#bytesListener = () => {};
    try {
      await this.ready;
      if (this.#mark.isUnchanged) return;
      await this.#mark.settled();
      await this.#mark.sync();
      const isVerified = this.#file.unverifiedBytes === 0;
      await this.#file.close();
      if (isVerified) this.#mark.restore();
    } catch {
      // The next opening treats this as an unclean end.
    } finally {
      await this.#file.close();
    }
  }

  /** Runs a call that changes records. */
  #change<T>(call: () => Promise<T>): Promise<T> {
    // The files may be gone by now, and the call would make them again.
    if (this.#closing !== undefined) return Promise.reject(new ClosedError(this.#options.dataPath));
    this.#wasUsed = true;
    return this.#mark.change(() => this.#counted(call));
  }

  async #counted<T>(call: () => Promise<T>): Promise<T> {
    const result = call();
    this.#recount();
    try {
      return await result;
    } finally {
      this.#recount();
    }
  }

  #recount(): void {
    this.#bytesListener(this.dataBytes);
  }
}
