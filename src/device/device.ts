/**
 * What an export is made of: the one interface between the NBD server and everything that can answer for a block.
 *
 * Ranges are checked once, at the edge (`src/server`): every `offset` and `lengthBytes` given here lies inside `sizeBytes`.
 * Implementations assert and go on. All methods may be called concurrently; overlapping requests have no order.
 */
import type { CachedExtent, Extent } from '../block/extent.js';
import type { Place } from '../block/place.js';
import type { RequestOptions } from '../block/read-options.js';
import type { AnswerLease } from './answer-lease.js';
import type { FastAccess, FastFiles } from './fast-access.js';

export type { AnswerLease } from './answer-lease.js';
export type { FastAccess, FastFiles, FastHold, FastOffer, FastUser } from './fast-access.js';

export interface WriteOptions extends RequestOptions {
  /** Force unit access: the write is durable before the promise settles. */
  fua?: boolean | undefined;
}

export interface WriteZeroesOptions extends WriteOptions {
  /** Keep the space allocated. */
  noHole?: boolean | undefined;
  /** Fail with code `ENOTSUP` at once if this would be no faster than writing the zeros. */
  fastOnly?: boolean | undefined;
}

export interface BlockSize {
  minimumBytes: number;
  preferredBytes: number;
  maximumBytes: number;
}

export interface DeviceFeatures {
  readOnly: boolean;
  /** Writes and flushes are seen by all connections alike, as NBD_FLAG_CAN_MULTI_CONN means it. */
  multiConn: boolean;
  trim: boolean;
  writeZeroes: boolean;
  /** WRITE_ZEROES with FAST_ZERO is answered honestly. */
  fastZero: boolean;
}

export interface BlockDevice {
  /** Constant while the device is open. */
  readonly sizeBytes: number;
  readonly blockSize: BlockSize;
  readonly features: DeviceFeatures;

  /**
   * Fills `target[targetStart .. targetStart + lengthBytes)` if that takes no waiting at all, not even for a disk.
   * On `false` the target's content is undefined and the caller uses `read`.
   */
  readNow(target: Buffer, targetStart: number, lengthBytes: number, offset: number): boolean;

  /**
   * Whether all of the range is known, without waiting, to read as zeros. Lets the server answer with a hole and spare
   * the memory. `false` means data or unknown.
   */
  isZeroNow(offset: number, lengthBytes: number): boolean;

  /** Fills all of `target` from `offset`. The target is the device's until the promise settles. Errors: see `errno.ts`. */
  read(target: Buffer, offset: number, options?: RequestOptions): Promise<Place>;

  /** Writes all of `source`, which is the caller's again when the promise settles. Code `EROFS` on read-only devices, `ENOSPC` when full. */
  write(source: Buffer, offset: number, options?: WriteOptions): Promise<void>;
  writeZeroes(offset: number, lengthBytes: number, options?: WriteZeroesOptions): Promise<void>;
  trim(offset: number, lengthBytes: number, options?: WriteOptions): Promise<void>;
  /** All writes that were acknowledged before the call are durable when it resolves. */
  flush(options?: RequestOptions): Promise<void>;

  /**
   * Allocation of the range as consecutive extents that start at `offset`. At least one; may end before the range does (not
   * beyond it), as NBD's BLOCK_STATUS allows. Adjacent extents differ.
   * @param maxCount the most extents wanted, at least 1
   */
  extents(offset: number, lengthBytes: number, maxCount: number, options?: RequestOptions): Promise<Extent[]>;
  /** Which parts this host holds; same rules as `extents`. */
  cachedExtents(offset: number, lengthBytes: number, maxCount: number): CachedExtent[];

  /** Brings the range into this host's cache. Resolves when later reads of it need nobody else. */
  cache(offset: number, lengthBytes: number, options?: RequestOptions): Promise<void>;

  /** The files that all its bytes lie in, as far as they are here. Absent, or `undefined` just now: native code must not answer for the device. */
  readonly files?: FastFiles | undefined;
  /** The lease under which the device answers just now. Absent, or `undefined` just now: it needs none. */
  readonly lease?: AnswerLease | undefined;
  /** Lets connections answer natively from such files. Absent: they don't. */
  readonly fast?: FastAccess | undefined;

  /** Ends the device after what is under way. Idempotent. */
  close(): Promise<void>;
}
