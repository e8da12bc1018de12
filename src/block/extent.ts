/**
 * Parts of a device as BLOCK_STATUS tells them.
 *
 * Source: NBD's doc/proto.md, "NBD_CMD_BLOCK_STATUS".
 */

/** Allocation of a part. */
export interface Extent {
  lengthBytes: number;
  /** True if the part reads as zeros. */
  zero: boolean;
  /** True if no local data is allocated for the part, and none at the origin as far as is known. */
  hole: boolean;
}

/** Presence of a part on this host. */
export interface CachedExtent {
  lengthBytes: number;
  /** True if this host holds the part: a read asks no other node and no origin. */
  cached: boolean;
}
