/**
 * The file of a cached image, kept in chunks.
 *
 * The rules for all native calls stand in `loader.ts`.
 */
/** States of a chunk. The numbers are those of the map on disk. */
export const ChunkState = { absent: 0, present: 1, zero: 2, unverified: 3 } as const;
export type ChunkStateValue = (typeof ChunkState)[keyof typeof ChunkState];

/** What `readNow` of a chunk file found. */
export const ReadNow = { hit: 0, wouldBlock: 1, absent: 2 } as const;

/**
 * A cached image: a sparse data file with each chunk at its own offset and a map file with one 8-byte record per chunk.
 * The block state lives in memory as atomics, written through these calls only, readable by any native thread without a lock.
 *
 * Map record, little endian: CRC-32C of the chunk's data (u32), state (u8), 24 bits of CRC-32C over state, data CRC, chunk index and
 * `recordSeed`, so that a record that is torn, rotten or another image's counts as absent.
 */
export interface NativeChunkFile {
  readonly chunkCount: number;
  /** Bytes of chunks in state present or unverified (the last chunk may be short). */
  readonly dataBytes: number;
  /** Bytes of chunks in state zero. */
  readonly zeroBytes: number;
  /** Of `dataBytes`, those of unverified chunks. */
  readonly unverifiedBytes: number;
  /** Chunks that guests touched since the file was opened, whatever became of them: by `touch`, by `readNow` with `guest`, and by what native threads answer. */
  readonly touchedCount: number;
  isTouched(chunkIndex: number): boolean;
  touch(firstIndex: number, chunkCount: number): void;
  /** From now on (not any more) native threads leave reads of the chunk to the host. Of no other effect. */
  setMark(chunkIndex: number, marked: boolean): void;
  /** State of one chunk. */
  state(chunkIndex: number): ChunkStateValue;
  /** Run-length list of states: `[state, chunkCount, state, chunkCount, …]`, from `firstIndex`, over `chunkCount` chunks, at most `maxRuns` runs. */
  runs(firstIndex: number, chunkCount: number, maxRuns: number): Uint32Array;
  /** Whether all chunks of the byte range are in state zero. */
  isZero(offset: number, lengthBytes: number): boolean;
  /**
   * The hit path: fills the target if every chunk of the range is present or zero and in the page cache. Marks chunks as used, with `guest` as touched too. Returns ReadNow.*;
   * the target is undefined, and any of the chunks may be touched, unless it is a hit.
   */
  readNow(target: Uint8Array, targetStart: number, lengthBytes: number, offset: number, guest?: boolean): number;
  /** As readNow, but waits for the disk; chunks are pinned meanwhile, so eviction skips them. Resolves false (nothing promised of the target) when some chunk is not present or zero. */
  read(target: Uint8Array, targetStart: number, lengthBytes: number, offset: number): Promise<boolean>;
  /**
   * Stores a whole chunk: writes data and record, then publishes the state. A chunk of zeros becomes a record alone. Without sync. Resolves to the new state.
   * Must not be called for a chunk that another store, verify or evict is busy with (the caller's single flight sees to that; the addon rejects with `EBUSY`).
   * A chunk that is there already is replaced, and absent meanwhile; one that a `read` has pinned is `EBUSY`. On failure the chunk is absent. A new chunk is not marked as used.
   */
  store(chunkIndex: number, source: Uint8Array, sourceStart: number): Promise<ChunkStateValue>;
  /** Marks chunks as zeros without data (sparse origins). Same rule as `store`. */
  storeZero(firstIndex: number, chunkCount: number): Promise<void>;
  /** Reads the chunk and compares its checksum: true, it is present (a verified `unverified` becomes `present`); false, it was dropped (record cleared, state absent). Zero chunks are true, absent ones false.
   *  When it can't be read (`EIO`) the state stays as it was. A `read` of the chunk that was under way when it was dropped resolves false. */
  verify(chunkIndex: number): Promise<boolean>;
  /**
   * Second-chance sweep over data chunks (present or unverified): from `handIndex`, clears the used mark of used chunks and collects unused, unpinned ones, until
   * `maxCount` are found or `maxScan` chunks were seen (one lap at most), wrapping round at the end. Returns `[next hand, index, index, …]`.
   */
  sweep(handIndex: number, maxScan: number, maxCount: number): Uint32Array;
  /**
   * Removes chunks: state absent, records cleared, map synced, then holes punched (whole pages). Those that are pinned or busy are skipped; so are those whose pages a client's socket still refers to, which
   * look absent for a moment. Resolves to the bytes freed.
   * From its start until it settles these chunks are busy. `ENOTSUP`: the file system knows no holes; the chunks are absent, their space is not freed.
   */
  evict(chunkIndices: Uint32Array): Promise<number>;
  /** fdatasync of data, then of the map. */
  sync(): Promise<void>;
  /** Reads the map's records on a thread, where `openChunkFile` did not. Once, and nothing else before it settles: all chunks are absent until then. */
  load(): Promise<void>;
  /** Whether the descriptors are open. */
  readonly isOpen: boolean;
  /** Whether a call is under way, or a lane may read. */
  readonly isInUse: boolean;
  /** Closes the descriptors, unless the file is in use; the states stay. Does not sync. Resolves to whether it did. */
  park(): Promise<boolean>;
  /** Waits for what is under way, then closes. Does not sync. Closing again waits for the same end. */
  close(): Promise<void>;
}

export interface ChunkFileOptions {
  dataPath: string;
  mapPath: string;
  sizeBytes: number;
  /** A multiple of 4096, at most 64 MiB; at most 2^28 chunks. */
  chunkBytes: number;
  /** Where the records begin in the map file. */
  recordsOffset: number;
  /** Bound into each record's check, so that records of different images never mix. 32 bits. */
  recordSeed: number;
  /** Records are trusted as they are (clean end); otherwise present ones load as `unverified`. */
  trusted: boolean;
  /** Default true. */
  load?: boolean;
}
