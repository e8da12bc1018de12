/**
 * Serial numbers, by which a guest finds its disks in any order (`/dev/disk/by-id/virtio-SERIAL`).
 *
 * Invariant: a disk has the same serial number on every node and after every restart.
 */
import { createHash } from 'node:crypto';

/** Longest serial number of virtio-blk and ATA, in bytes. */
export const maxSerialLength = 20;

/** The first 80 of the UUID's 128 bits. @param uuid as `8-4-4-4-12` hexadecimal digits */
export function diskSerial(uuid: string): string {
  return uuid.replaceAll('-', '').slice(0, maxSerialLength);
}

/** The image's name if it can be a serial number, else digits that stand for it. */
export function imageSerial(name: string): string {
  if (name.length <= maxSerialLength && /^[A-Za-z0-9_.+-]+$/.test(name)) return name;
  return createHash('sha256').update(name).digest('hex').slice(0, maxSerialLength);
}
