/**
 * One cached image on this host's disk: a sparse data file, and a map with one record per chunk.
 *
 * An image without readers holds no descriptors. The addon opens the files with the first call that
 * needs them, and `park` closes them again. The states of the chunks stay in memory.
 *
 * Invariants: a chunk is stored or verified by one call at a time, and never while an eviction of
 * it is under way. The map is marked clean (`CleanMark`) only with no chunk left unverified,
 * because a record does not tell an unverified chunk from a present one.
 */
import { open } from 'node:fs/promises';
import { ClosedError } from '../../base/error.js';
import { ChunkState, type ChunkStateValue, type NativeChunkFile, native, ReadNow } from '../../base/native.js';
import { CleanMark } from './clean-mark.js';
import { mapHeaderBytes } from './map-header.js';
import { type ChunkStoreOptions, inspectStoreFiles } from './store-files.js';

/** Bound on the chunks of a map that the constructor loads by itself; waking a thread would take longer. */
const mostLoadedNow = 16_384;

export class ChunkStore {
  readonly sizeBytes: number;
  readonly chunkBytes: number;
  readonly chunkCount: number;
  readonly #file: NativeChunkFile;
  readonly #options: ChunkStoreOptions;
  readonly #mark: CleanMark;
  /** Evictions under way, by chunk. */
  readonly #evicting = new Map<number, Promise<unknown>>();
  /** Stores of zeros under way, by chunk: both paths of a cache may bring the same chunk at once. */
  readonly #zeroing = new Map<number, Promise<void>>();
  #lastStore: Promise<unknown> = Promise.resolve();
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

  /** For native threads to read from; `undefined` from `close` on. Who gave it to them takes it back before. */
  get file(): NativeChunkFile | undefined {
    return this.#closing === undefined ? this.#file : undefined;
  }

  /** Bytes on the disk, those not yet verified included; 0 from `close` on, when nothing of it can be evicted any more. */
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

  /** Calls the listener with `dataBytes` now, and after each change. One listener; the last call counts. */
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

  /** It can be read. */
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

  /** The hit path: everything present or zero, and in the page cache. For a `guest` the chunks are touched. */
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

  /** Whether native threads leave the next read of a chunk to this side. Nothing from `close` on. */
  setMark(chunkIndex: number, marked: boolean): void {
    if (this.#closing === undefined) this.#file.setMark(chunkIndex, marked);
  }

  /** Reads what is present or zero, from the disk if need be. `false`, and nothing promised of the target, when any of it isn't. */
  read(target: Uint8Array, targetStart: number, lengthBytes: number, offset: number): Promise<boolean> {
    this.#wasUsed = true;
    return this.#file.read(target, targetStart, lengthBytes, offset);
  }

  /**
   * Stores one chunk without syncing it. At most one store or verify of a chunk at a time; waits for an eviction of it that is under way.
   *
   * One after another: the kernel lets one thread at a time write to a file, and the others spin meanwhile (6 % of a cold read's CPU).
   */
  store(chunkIndex: number, source: Uint8Array): Promise<ChunkStateValue> {
    const store = async (): Promise<ChunkStateValue> => {
      await this.#evicting.get(chunkIndex);
      // Whoever was before it in the line may have brought the same.
      if (this.isHeld(chunkIndex)) return this.#file.state(chunkIndex);
      return this.#change(() => this.#file.store(chunkIndex, source, 0));
    };
    const stored = this.#lastStore.then(store, store);
    this.#lastStore = stored;
    return stored;
  }

  /** Stores one chunk of zeros. Calls for one chunk join. */
  storeZero(chunkIndex: number): Promise<void> {
    const running = this.#zeroing.get(chunkIndex);
    if (running !== undefined) return running;
    const stored = this.#storeZero(chunkIndex).finally(() => this.#zeroing.delete(chunkIndex));
    this.#zeroing.set(chunkIndex, stored);
    return stored;
  }

  async #storeZero(chunkIndex: number): Promise<void> {
    await this.#evicting.get(chunkIndex);
    await this.#change(() => this.#file.storeZero(chunkIndex, 1));
  }

  /** The bytes of a chunk as they lie on the disk, right or wrong: for who can tell. Rejects when they can't be read. */
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
   * Compares a chunk with its checksum. `false`: it did not match, and was dropped. A chunk that is absent, or that an eviction under way took, is not wrong.
   * Rejects when it can't be read; it stays as it was then. At most one store or verify of a chunk at a time.
   */
  async verify(chunkIndex: number): Promise<boolean> {
    await this.#evicting.get(chunkIndex);
    if (this.#file.state(chunkIndex) === ChunkState.absent) return true;
    return this.#change(() => this.#file.verify(chunkIndex));
  }

  /**
   * Second chance over `maxScan` chunks from `handIndex`, wrapping round: finds at most `maxCount` that were not used since they were last passed, and forgets that the
   * others were. `[next hand, chunk, chunk, …]`.
   */
  sweep(handIndex: number, maxScan: number, maxCount: number): Uint32Array {
    return this.#closing === undefined ? this.#file.sweep(handIndex, maxScan, maxCount) : Uint32Array.of(handIndex);
  }

  /** Frees chunks (map, sync, punch); those in use are skipped, as are those that clients have yet to take from their sockets. Resolves to the bytes freed. */
  async evict(chunkIndices: Uint32Array): Promise<number> {
    const done = this.#change(() => this.#file.evict(chunkIndices));
    const settled = done.catch(() => 0);
    for (const index of chunkIndices) this.#evicting.set(index, settled);
    try {
      return await done;
    } finally {
      for (const index of chunkIndices) if (this.#evicting.get(index) === settled) this.#evicting.delete(index);
    }
  }

  /**
   * Closes the descriptors where nothing needed them since the last call, and nobody reads. What was changed is synced first, so
   * that no error of the disk goes by unheard while the file is closed.
   *
   * @returns whether the descriptors are closed
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
   * Syncs everything, marks the map clean and closes. Idempotent. Does not reject: what could not be synced costs a checksum when it is next
   * read, and whoever closes can do nothing better about it.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Data, then map, to the disk. */
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
