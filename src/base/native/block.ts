/**
 * A file or block device that is read and written by native threads.
 *
 * The rules for all native calls stand in `loader.ts`.
 */
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
