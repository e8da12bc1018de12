/**
 * Refuses a disk whose record has a format that this version does not know, as a newer node may have
 * one. Only that disk is refused; its node stays a peer for all else.
 *
 * Invariant: a node never asks for the handover of such a disk, because it learns of a disk by
 * `disk.describe` first.
 */
import { z } from 'zod';
import { CopseError } from '../../base/error.js';

const recordFormat = 1;

const newerSchema = z.object({ record: z.object({ format: z.int().gt(recordFormat), name: z.string().max(255).optional() }) });

/**
 * @param message argument or answer of a call
 * @throws CopseError `ERR_DISK_FORMAT`
 */
export function refuseNewerDisk(message: unknown): void {
  const newer = newerSchema.safeParse(message);
  if (!newer.success) return;
  const { format, name } = newer.data.record;
  throw new CopseError(
    'ERR_DISK_FORMAT',
    `disk "${name ?? ''}" has format ${format}, and this node knows format ${recordFormat} at most: upgrade this node`,
  );
}
