/**
 * The only loader of the addon, and its types. Everything native enters the program here.
 *
 * All asynchronous calls run on the addon's own threads, never on libuv's. Buffers given to them belong to the call until
 * its promise settles: they must not be transferred, detached or resized before. Offsets and lengths are safe integers. Errors of the
 * operating system carry Node's usual `code` (`EIO`, `ENOSPC`, `ENOTSUP`, …). Wrong arguments are the caller's bug and throw at once, from calls that return
 * promises too: a TypeError `ERR_INVALID_ARG_TYPE` or a RangeError `ERR_OUT_OF_RANGE`.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** An open file for block I/O. Closed by `close`; a call after that rejects (one that returns at once throws) with `ERR_CLOSED`. */
export interface NativeBlockFile {
  /** Size of the file (or block device) in bytes when it was opened, or last set by `truncate`. */
  readonly sizeBytes: number;
  /** Allocated bytes (st_blocks). Synchronous. */
  allocatedBytes(): number;
  /** Reads from the page cache only (preadv2, RWF_NOWAIT). `false`: it would have to wait, or the file system refuses RWF_NOWAIT; the target is undefined then. */
  readNow(target: Uint8Array, targetStart: number, lengthBytes: number, offset: number): boolean;
  /** Reads exactly `lengthBytes`; beyond the end of the file it reads zeros. */
  read(target: Uint8Array, targetStart: number, lengthBytes: number, offset: number): Promise<void>;
  /** Writes all. With `durable` the data are on the disk (RWF_DSYNC) before it resolves. */
  write(source: Uint8Array, sourceStart: number, lengthBytes: number, offset: number, durable: boolean): Promise<void>;
  /** Makes the range read as zeros: `punch` frees its space, otherwise it stays allocated. Whole pages are punched, ragged ends are written. Falls back to writing zeros
   *  unless `fastOnly`, which then rejects with `ENOTSUP`. */
  zero(offset: number, lengthBytes: number, options: { punch: boolean; fastOnly: boolean }): Promise<void>;
  /** fdatasync(2). */
  sync(): Promise<void>;
  /** Data and holes of the range by SEEK_DATA and SEEK_HOLE: `[length, isHole ? 1 : 0, length, …]`, at most `maxCount` pairs, merged. */
  extents(offset: number, lengthBytes: number, maxCount: number): Promise<Float64Array>;
  truncate(sizeBytes: number): Promise<void>;
  /** Waits for the calls before it, then closes. Does not sync. Closing again waits for the same end. */
  close(): Promise<void>;
}

/** What a chunk is. The numbers are those of the map on disk. */
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

/** What a block of a disk's overlay is. The numbers are those of the map on disk. */
export const BlockState = {
  /** As in the image below; zeros where there is none. */
  base: 0,
  /** In the overlay's file. */
  data: 1,
  /** Zeros. */
  zero: 2,
  /** In the overlay of another node, which owned the disk before. */
  remote: 3,
} as const;
export type BlockStateValue = (typeof BlockState)[keyof typeof BlockState];

/** The unit of an overlay. */
export const blockBytes = 4096;

/** What `readNow` of an overlay found: `base` and `mixed` say that not all of the range is here. */
export const OverlayReadNow = { hit: 0, wouldBlock: 1, base: 2, mixed: 3 } as const;

/**
 * The overlay of a disk: a sparse data file with each 4 KiB block at its own offset, and a map file with a byte a block.
 *
 * The map in memory is one atomic byte a block, written by these calls only, readable by any native thread without a lock. Whoever changes blocks holds the range lock over them, inside
 * the call; no lock outlives a call. Byte: bits 0-1 the state, bit 2 `changed` (see `trackChanges`; never on disk), bits 3-7 the index of the node that has a `remote` block.
 *
 * Map file: `recordsOffset` bytes that are the caller's, then sectors of 512 bytes: 508 blocks, then CRC-32C (u32, little endian) over `recordSeed` (u32), the sector's index (u32) and
 * the blocks. A sector of zeros is 508 base blocks. A sector with another checksum makes opening fail with `EBADMSG`.
 *
 * Crash order (docs/architecture.md, "On disk"). `flush`: the states that changed are copied, data synced, the copies written to the map, map synced, then what became `zero` (and still is) punched. A state
 * is set after its data were written, so a copy never promises data that the sync before it did not cover. What was answered and not flushed outlives the process, not the machine: MAP_PATH.log0 and .log1 beside the map say
 * which blocks changed since its last flush, unsynced, and are believed until the machine restarts (`native/core/overlay_log.h`). MAP_PATH.lost and .unsynced tell of failed syncs (`native/core/overlay_loss.h`). Space for map sectors is allocated with the first block that changes in them: flush does not fail for lack of it.
 */
export interface NativeOverlayFile {
  /** A multiple of 4096. */
  readonly sizeBytes: number;
  /** Bytes of blocks in each state but base. */
  readonly dataBytes: number;
  readonly zeroBytes: number;
  readonly remoteBytes: number;
  /** Bytes of blocks with the mark `changed`. */
  readonly changedBytes: number;
  /** Whether there is something that a flush would make durable, or punch. */
  readonly dirty: boolean;
  /** Allocated bytes of the data file (st_blocks). Synchronous. */
  allocatedBytes(): number;
  /**
   * The hit path: fills the target when all of the range is data or zeros and in the page cache. Returns OverlayReadNow.*; the target is undefined unless it is a hit. `base`: all blocks are base.
   */
  readNow(target: Uint8Array, targetStart: number, lengthBytes: number, offset: number): number;
  /** Whether all of the range is in state zero. */
  isZero(offset: number, lengthBytes: number): boolean;
  /** What the range consists of: `[state, nodeIndex, lengthBytes, …]`, at most `maxRuns` runs (then it ends early), adjacent ones differ, nodeIndex 0 for all but remote. */
  runs(offset: number, lengthBytes: number, maxRuns: number): Float64Array;
  /** As readNow, but waits for the disk. Resolves false (nothing promised of the target) when some block is base or remote. */
  read(target: Uint8Array, targetStart: number, lengthBytes: number, offset: number): Promise<boolean>;
  /**
   * Writes; whole blocks never read what is below. The first and last block, where they are written in part and are base or remote, are completed from `edges`: the first's 4096 bytes at 0 and, where the range is in more
   * than one block, the last's at 4096 (what is not needed there may be anything, but the length is 4096 for one block and 8192 for more). `edges` are copied. Without `edges` it resolves false then, nothing is written, and the caller comes back with them. An edge that has become data or zero meanwhile is completed from there instead. The source is copied by nobody: it is the call's until it settles.
   * On failure (`ENOSPC`, `EIO`) every block keeps its state; blocks that were data may have old and new sectors, as after a crash.
   */
  write(source: Uint8Array, sourceStart: number, lengthBytes: number, offset: number, edges: Uint8Array | undefined): Promise<boolean>;
  /** Makes the range read as zeros. Whole blocks become `zero`, to be punched by a later flush, or with `allocate` data that are zeros; ragged ends are written, as `write` does, `edges` and result too. */
  zero(offset: number, lengthBytes: number, options: { allocate: boolean }, edges: Uint8Array | undefined): Promise<boolean>;
  /** The whole blocks of the range become `zero`. The rest stays as it is. */
  trim(offset: number, lengthBytes: number): Promise<void>;
  /**
   * Blocks that came from where they are remote, `offset` and `lengthBytes` whole blocks: those that still are `remote` are stored and become data, others are left. Does not mark them as changed. Resolves to the bytes stored.
   */
  fill(source: Uint8Array, sourceStart: number, lengthBytes: number, offset: number): Promise<number>;
  /**
   * All that was acknowledged before the call is durable, in the crash order, when it resolves. One at a time runs; calls that come meanwhile share the next. `ENOSPC` and `EIO` leave
   * everything as dirty as it was. Punching ends after about a second; the overlay stays `dirty`, and the next flush goes on.
   *
   * After a sync of the data failed the kernel may have dropped the bytes, and it says so only once.
   * Every later flush fails then too, in later processes as well, until `acceptLoss`. See `loss`.
   * `ESTALE`: the files were removed or replaced below the process.
   */
  flush(): Promise<void>;
  /**
   * Set from the first failed sync of the data on. `text` is the mark's one line of JSON.
   * `isMarked`: MAP_PATH.lost says so on the disk, so a later process knows it, too.
   */
  readonly loss: { readonly text: string; readonly isMarked: boolean } | undefined;
  /** Another place has `text` as the mark of this overlay. It is written beside the map again. */
  rememberLoss(text: string): void;
  /**
   * Takes the loss for accepted. Data that the page cache still has are written and synced once more,
   * and the mark goes. From then on the files on the disk are as they read. Rejects while syncs fail.
   */
  acceptLoss(): Promise<void>;
  /** State of the files' place, as far as it shows without writing. Synchronous. */
  readonly footing: 'firm' | 'unlinked' | 'read-only';
  /** From now on changed blocks get the mark `changed`; with `all`, every block that is not base gets it at once. `false` ends it and clears the marks. */
  trackChanges(on: boolean, all?: boolean): void;
  /**
   * Copies the map's bytes of `blockCount` blocks from `firstBlock` to the target, `changed` marks included; with `takeChanges` the marks are cleared as they are copied. Synchronous; memory speed.
   */
  copyMap(target: Uint8Array, targetStart: number, firstBlock: number, blockCount: number, takeChanges: boolean): void;
  /** Whether the descriptors are open. */
  readonly isOpen: boolean;
  /**
   * Closes the descriptors where no call needed them since the last `park`, none is under way, no lane may read, nothing is to be flushed, and no sync has failed. The map stays in memory. The next call that
   * needs them opens them again: `ESTALE` when the files are not those that were closed. Synchronous. Returns whether it closed them.
   */
  park(): boolean;
  /** Closes without flushing, after the calls before it. */
  close(): Promise<void>;
}

export interface OverlayFileOptions {
  dataPath: string;
  mapPath: string;
  /** A multiple of 4096; files that are smaller (or missing) are made as large. Blocks beyond what the map had are base. */
  sizeBytes: number;
  /** A multiple of 512. */
  recordsOffset: number;
  recordSeed: number;
}

/** What a lane tells, as bits. */
export const LaneEvent = {
  /** Input waits, or is over. */
  input: 1,
  /** What `send` could not send at once is sent, or will never be. */
  sent: 2,
  /** What was granted before is in use no more, but for what another grant has given meanwhile: `isQuiet` knows. */
  quiet: 4,
} as const;

/**
 * A connection's transmission phase on a thread of its own: requests for what was granted are answered there, everything else comes up here as it was received, and is
 * answered by `send`. See `native/core/fast/lane.h`. A call after `stop` throws `ERR_CLOSED`. A lane keeps the process alive until it is stopped; the end of a worker stops its lanes.
 */
export interface NativeLane {
  /** Bytes that `takeInput` would find. */
  inputBytes(): number;
  /** Takes what came up. 0: nothing just now; -1: there will be no more. */
  takeInput(target: Uint8Array, targetStart: number, lengthBytes: number): number;
  /**
   * Sends the pieces, in order, behind all that was sent before. `true`: all is gone. `false`: the array and its pieces are the lane's until the event `sent` or `stop`'s end, and no other `send` may come before. Without
   * pieces it tells of the end of what native code has still to send. A connection that has ended takes everything, and sends nothing.
   */
  send(pieces: readonly Uint8Array[]): boolean;
  /**
   * From now on requests are answered from these files alone: a disk's overlay over an image, an image, or none of them. Nothing that was granted before is begun any more when it returns. `false`: something of
   * it is still in use; the event `quiet` tells of the end. A client that does not read can hold that up for ever, until `shut`. The files must not be closed before.
   *
   * With a lease on the overlay, requests come up while it has passed, and replies that are ready wait until it is open again. When it is lost the connection is shut.
   */
  grant(overlay: NativeOverlayFile | undefined, image: NativeChunkFile | undefined, writable: boolean, lease?: NativeLease): boolean;
  /** Whether nothing of what was granted before the last `grant` is in use. */
  isQuiet(): boolean;
  /** Whether a client that does not read is in the way of that: it was being sent something from what was granted since the last call, and took none of it. A slow disk is not meant. */
  isStalled(): boolean;
  /** Whether nothing can be sent any more: the client has gone. What is sent then is taken all the same. */
  hasFailed(): boolean;
  /** Ends the connection at once, both ways. */
  shut(): void;
  /** Shuts, and resolves when no thread works for the lane any more. No event comes after the call. */
  stop(): Promise<void>;
  /** What was counted so far, also after `stop`, by the indices of `LaneCount`. The target has `laneCounterCount` elements. */
  counters(target: Float64Array): void;
  /** After `stop`: closes the descriptor, and frees the rest. */
  close(): void;
}

/**
 * Until when this node may answer for a disk, as a word of memory that lanes look at. The clock is CLOCK_BOOTTIME, which
 * goes on while the process is stopped and while the host is suspended. A new lease has passed.
 */
export interface NativeLease {
  /** True if it has not passed. */
  isValid(): boolean;
  /** Ends it `ms` from now. `false`: it had passed, and stays so. */
  extend(ms: number): boolean;
  /** The same for one that has passed. Changes nothing of one that is lost or free. */
  open(ms: number): void;
  /** It has passed from now on. Changes nothing of one that is lost or free. */
  close(): void;
  /** From now on there is no limit. */
  free(): void;
  /** From now on nothing is answered under it: replies that wait for it are dropped, with their connections. */
  lose(): void;
}

/** Where what stands in a lane's counters. Latencies are as in `LatencyHistogram`: one count a bucket. */
export const LaneCount = {
  reads: 0,
  readBytes: 1,
  readNs: 2,
  /** Of the reads, those that had to wait for the disk. */
  coldReads: 3,
  writes: 4,
  writtenBytes: 5,
  writeNs: 6,
  /** Requests that came up. */
  handedUp: 7,
  readLatency: 8,
  writeLatency: 35,
} as const;
export const laneCounterCount = 62;

export interface LaneOptions {
  /** A connected stream socket. It is duplicated, and made blocking: the caller closes its own without another use. When `openLane` throws it is as it was. */
  descriptor: number;
  replies: 'simple' | 'structured' | 'extended';
  /** What was read from the socket already. Copied. */
  early: Uint8Array;
  /** Called with bits of `LaneEvent`, from the event loop. Must not throw. */
  onEvent(events: number): void;
}

export interface NativeAddon {
  /** `create` with mode 0600. `direct` goes past the page cache (O_DIRECT) for what is aligned to 4096 bytes, where the file system can. */
  openBlockFile(path: string, options: { write: boolean; create?: boolean; direct?: boolean }): NativeBlockFile;
  /**
   * Makes a chunk file in memory, and reads the records of its map unless `load` is false: then call `load`. Files are opened, and made where they are missing, by the
   * first call that needs them: `ESTALE` when they are not those that were there before. Synchronous: 10 GiB in 64 KiB chunks are 1.3 MB of records; holes cost nothing.
   */
  openChunkFile(options: ChunkFileOptions): NativeChunkFile;
  /** Opens or creates both files (mode 0600); reads all sectors of the map that are not holes. Synchronous. Throws `EBADMSG` for a rotten map, `EAGAIN` when the data file is open as an overlay already. */
  openOverlayFile(options: OverlayFileOptions): NativeOverlayFile;
  /**
   * Writes a whole map file for an overlay: a byte a block as described there (`changed` marks are dropped), `header` before them, at most `recordsOffset` bytes. Durable when it resolves; runs of base stay holes.
   * The file must not exist (`EEXIST`). `states` is the call's until it settles.
   */
  writeOverlayMap(
    options: { mapPath: string; recordsOffset: number; recordSeed: number; header: Uint8Array },
    states: Uint8Array,
  ): Promise<void>;
  /** CRC-32C (Castagnoli), SSE4.2 where there is one. `seed` is the CRC of what came before. */
  crc32c(data: Uint8Array, start?: number, end?: number, seed?: number): number;
  /** The same without special instructions: what other processors run. */
  crc32cByTable(data: Uint8Array, start?: number, end?: number, seed?: number): number;
  /** Gives the whole pages of a buffer's memory back to the system. The buffer stays usable, its content is undefined; nobody else may have a view of it. */
  discardMemory(data: Uint8Array): void;
  /** Gives memory that the allocator of native code holds for later back to the system, on a thread. */
  trimMemory(): Promise<void>;
  /** Whether every byte is zero. */
  isZero(data: Uint8Array, start: number, end: number): boolean;
  /**
   * Takes an exclusive lock (flock) on the file, created if missing, without waiting. Returns the descriptor to keep, or -1 when somebody else, in
   * this process or another, has it. The end of the process or worker lets go of it.
   */
  lockFile(path: string): number;
  unlockFile(descriptor: number): void;
  /** Who connected a unix socket (SO_PEERCRED, unix(7)); pid 0 for a process of a pid namespace that this one can't see. Throws the system's error for what is no unix socket. */
  peerCredentials(descriptor: number): { pid: number; uid: number; gid: number };
  /**
   * Has the kernel end a TCP connection once bytes that were sent stay unacknowledged, or wait for the other end's
   * window, for that time (TCP_USER_TIMEOUT, tcp(7)). 0: the kernel's own rule. Throws the system's error, `ENOTSUP`
   * for what is no TCP socket.
   */
  setUserTimeout(descriptor: number, timeoutMs: number): void;
  /**
   * Opens a pidfd of the process that connected a unix socket; the caller closes it. Throws the system's error: `ESRCH` for
   * a process that has gone or is in a pid namespace that can't be seen, another one where the kernel gives no pidfd.
   */
  openPeerProcess(descriptor: number): number;
  /** True if the process of a pidfd has ended. Throws the system's error. */
  hasProcessEnded(pidfd: number): boolean;
  /** Throws the system's error when there is no descriptor or thread to be had. */
  openLane(options: LaneOptions): NativeLane;
  openLease(): NativeLease;
  /** Sends one datagram to a unix socket (a leading `@`: the abstract namespace) without waiting. Throws the system's error. */
  sendDatagram(path: string, text: string): void;
}

const require = createRequire(import.meta.url);

/** dist/src/base/native.js and src/base/native.ts lie at different depths below the package's root. */
function packageRoot(): string {
  return fileURLToPath(new URL(import.meta.url.includes('/dist/src/') ? '../../../' : '../../', import.meta.url));
}

/** What was compiled where it runs goes before a prebuilt binary: in a checkout it is the newer one, in an installation the prebuilt one did not load. */
export const native: NativeAddon = require('node-gyp-build')(packageRoot());
