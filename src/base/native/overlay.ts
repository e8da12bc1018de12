/**
 * The overlay of a disk, kept in blocks.
 *
 * The rules for all native calls stand in `loader.ts`.
 */
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
 * Crash order (docs/architecture/state-on-disk.md, "On disk"). `flush`: the states that changed are copied, data synced, the copies written to the map, map synced, then what became `zero` (and still is) punched. A state
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
