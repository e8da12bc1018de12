/**
 * Serial numbers, by which a guest finds its disks (`/dev/disk/by-id/virtio-SERIAL`) whatever their order.
 *
 * Invariant: the same disk has the same one on every node and after every restart.
 */
import { createHash } from 'node:crypto';

/** virtio-blk carries 20 bytes, ATA too. */
export const maxSerialLength = 20;

/** @param uuid as `8-4-4-4-12` hexadecimal digits. The first 80 of its 128 bits */
export function diskSerial(uuid: string): string {
  return uuid.replaceAll('-', '').slice(0, maxSerialLength);
}

/** The image's name where it can be a serial number, else digits that stand for it. */
export function imageSerial(name: string): string {
  if (name.length <= maxSerialLength && /^[A-Za-z0-9_.+-]+$/.test(name)) return name;
  return createHash('sha256').update(name).digest('hex').slice(0, maxSerialLength);
}
