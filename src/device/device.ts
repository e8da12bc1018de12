/**
 * The contract between the NBD server and everything that serves blocks.
 *
 * The server checks each range once, so every `offset` and `lengthBytes` given here lies inside
 * `sizeBytes`; implementations assert that. All methods may be called concurrently. Overlapping
 * requests have no order.
 */
import type { CachedExtent, Extent } from '../block/extent.js';
import type { Place } from '../block/place.js';
import type { RequestOptions } from '../block/read-options.js';
import type { AnswerLease } from './answer-lease.js';
import type { FastAccess, FastFiles } from './fast-access.js';

export type { AnswerLease } from './answer-lease.js';
export type { FastAccess, FastFiles, FastHold, FastOffer, FastUser } from './fast-access.js';

export interface WriteOptions extends RequestOptions {
  /** True to force unit access: the write is durable before the promise settles. */
  fua?: boolean | undefined;
}

export interface WriteZeroesOptions extends WriteOptions {
  /** True to keep the space allocated. */
  noHole?: boolean | undefined;
  /** True to fail with `ENOTSUP` at once if this would be no faster than writing zeros. */
  fastOnly?: boolean | undefined;
}

export interface BlockSize {
  minimumBytes: number;
  preferredBytes: number;
  maximumBytes: number;
}

export interface DeviceFeatures {
  readOnly: boolean;
  /** True if all connections see writes and flushes alike, as NBD_FLAG_CAN_MULTI_CONN demands. */
  multiConn: boolean;
  trim: boolean;
  writeZeroes: boolean;
  /** True if WRITE_ZEROES with FAST_ZERO is fast, or fails at once. */
  fastZero: boolean;
}

export interface BlockDevice {
  /** Size, constant while the device is open. */
  readonly sizeBytes: number;
  readonly blockSize: BlockSize;
  readonly features: DeviceFeatures;

  /**
   * Fills `target[targetStart .. targetStart + lengthBytes)` if that needs no wait, not even for a
   * disk. Returns false otherwise; the target's content is undefined then, and the caller uses
   * `read`.
   */
  readNow(target: Buffer, targetStart: number, lengthBytes: number, offset: number): boolean;

  /**
   * Returns true if the range is known to read as zeros, without a wait; false for data or unknown.
   * The server answers zeros with a hole and spares the memory.
   */
  isZeroNow(offset: number, lengthBytes: number): boolean;

  /**
   * Fills `target` from `offset`. The target is the device's until the promise settles. Errors: see
   * `errno.ts`.
   */
  read(target: Buffer, offset: number, options?: RequestOptions): Promise<Place>;

  /**
   * Writes `source`, which is the caller's again when the promise settles. Fails with `EROFS` on
   * read-only devices, and with `ENOSPC` when the space is used up.
   */
  write(source: Buffer, offset: number, options?: WriteOptions): Promise<void>;
  writeZeroes(offset: number, lengthBytes: number, options?: WriteZeroesOptions): Promise<void>;
  trim(offset: number, lengthBytes: number, options?: WriteOptions): Promise<void>;
  /** Resolves when all writes that were acknowledged before the call are durable. */
  flush(options?: RequestOptions): Promise<void>;

  /**
   * Returns the allocation of the range as consecutive extents from `offset` on: at least one. They
   * may end before the range does, never beyond it, as BLOCK_STATUS allows. Adjacent extents
   * differ.
   *
   * @param maxCount bound on the extents, at least 1
   */
  extents(offset: number, lengthBytes: number, maxCount: number, options?: RequestOptions): Promise<Extent[]>;
  /** Returns the parts that this host holds, by the rules of `extents`. */
  cachedExtents(offset: number, lengthBytes: number, maxCount: number): CachedExtent[];

  /**
   * Brings the range into this host's cache. Resolves when later reads of it need no other host.
   */
  cache(offset: number, lengthBytes: number, options?: RequestOptions): Promise<void>;

  /**
   * Files with all bytes of the device, as far as they are on this host. If absent or `undefined`,
   * native lanes must not answer for the device.
   */
  readonly files?: FastFiles | undefined;
  /** Lease under which the device answers at present. If absent or `undefined`, it needs none. */
  readonly lease?: AnswerLease | undefined;
  /** Access of connections to the files. If absent, connections don't answer natively. */
  readonly fast?: FastAccess | undefined;

  /** Ends the device after the requests under way. Idempotent. */
  close(): Promise<void>;
}
