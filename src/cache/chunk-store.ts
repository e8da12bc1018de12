/**
 * One cached image on this host's disk: the sparse data file, the map, and what they are worth after a restart.
 *
 * Opening decides trust: after a clean end with an untouched data file the records hold; after anything else each chunk is verified against its
 * checksum before it is first served; a data file that is missing or of another size voids the map.
 * Invariant: the header says `clean` only between a close that synced everything, with no chunk left unverified, and the next open. A record does not
 * tell an unverified chunk from a present one, so one that nobody verified must not be called clean.
 */
import { rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { ChunkState, type ChunkStateValue, type NativeChunkFile, native, ReadNow } from '../base/native.js';
import { dataFileStamp, type MapHeader, mapHeaderBytes, mapVersion, readMapHeader, writeMapHeader } from './map-header.js';

export interface ChunkStoreOptions {
  dataPath: string;
  mapPath: string;
  sizeBytes: number;
  chunkBytes: number;
  /** Bound into every map record: 32 bits of the image's identity. */
  recordSeed: number;
}

export class ChunkStore {
  readonly sizeBytes: number;
  readonly chunkBytes: number;
  readonly chunkCount: number;
  readonly #file: NativeChunkFile;
  readonly #options: ChunkStoreOptions;
  /** Chunks under eviction, and its end. */
  readonly #evicting = new Map<number, Promise<unknown>>();
  #lastStore: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(options: ChunkStoreOptions) {
    this.#options = options;
    this.sizeBytes = options.sizeBytes;
    this.chunkBytes = options.chunkBytes;
    const header = readMapHeader(options.mapPath);
    const stamp = dataFileStamp(options.dataPath, options.sizeBytes);
    const usable = stamp !== undefined && header !== undefined && matches(header, options);
    if (!usable) removeStoreFiles(options);
    const trusted = usable && header.clean?.inode === stamp.inode && header.clean.mtimeNs === stamp.mtimeNs;
    // Durable before the first record is written: from here on only a clean close makes the records trustworthy again.
    writeMapHeader(options.mapPath, headerOf(options));
    this.#file = native.openChunkFile({ ...options, recordsOffset: mapHeaderBytes, trusted });
    this.chunkCount = this.#file.chunkCount;
  }

  /** For native threads to read from; `undefined` from `close` on. Who gave it to them takes it back before. */
  get file(): NativeChunkFile | undefined {
    return this.#closing === undefined ? this.#file : undefined;
  }

  /** Bytes on the disk, those not yet verified included; 0 from `close` on, when nothing of it can be evicted any more. */
  get dataBytes(): number {
    return this.#closing === undefined ? this.#file.dataBytes : 0;
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
      return this.isHeld(chunkIndex) ? this.#file.state(chunkIndex) : this.#file.store(chunkIndex, source, 0);
    };
    const stored = this.#lastStore.then(store, store);
    this.#lastStore = stored;
    return stored;
  }

  async storeZero(chunkIndex: number): Promise<void> {
    await this.#evicting.get(chunkIndex);
    await this.#file.storeZero(chunkIndex, 1);
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
    return this.#file.verify(chunkIndex);
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
    const done = this.#file.evict(chunkIndices);
    const settled = done.catch(() => 0);
    for (const index of chunkIndices) this.#evicting.set(index, settled);
    try {
      return await done;
    } finally {
      for (const index of chunkIndices) if (this.#evicting.get(index) === settled) this.#evicting.delete(index);
    }
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
    try {
      await this.sync();
      const verified = !this.#hasUnverified();
      await this.#file.close();
      const stamp = dataFileStamp(this.#options.dataPath, this.sizeBytes);
      if (verified && stamp !== undefined) writeMapHeader(this.#options.mapPath, { ...headerOf(this.#options), clean: stamp });
    } catch {
      await this.#file.close();
    }
  }

  #hasUnverified(): boolean {
    for (let chunk = 0; chunk < this.chunkCount; ) {
      const runs = this.#file.runs(chunk, this.chunkCount - chunk, 1024);
      for (let index = 0; index + 1 < runs.length; index += 2) {
        if (runs[index] === ChunkState.unverified) return true;
        chunk += runs[index + 1] ?? 0;
      }
    }
    return false;
  }
}

/** Removes a cached image's files. No store may be open on them. */
export function removeStoreFiles(paths: { dataPath: string; mapPath: string }): void {
  // The map first: data without a map are garbage, a map without data would be a lie.
  rmSync(paths.mapPath, { force: true });
  rmSync(paths.dataPath, { force: true });
}

function headerOf(options: ChunkStoreOptions): MapHeader {
  const { sizeBytes, chunkBytes, recordSeed } = options;
  return { format: 'copse-map', version: mapVersion, sizeBytes, chunkBytes, recordSeed };
}

function matches(header: MapHeader, options: ChunkStoreOptions): boolean {
  return header.sizeBytes === options.sizeBytes && header.chunkBytes === options.chunkBytes && header.recordSeed === options.recordSeed;
}
