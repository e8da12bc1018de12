/**
 * What pins a file: inode, size and time of the last change; of a block device its number and size, for it has nothing better
 * (whoever writes to the device behind Copse's back goes unnoticed).
 */
import type { BigIntStats } from 'node:fs';
import { errorCode } from '../../base/error.js';
import { OriginError, type OriginIdentity } from '../origin.js';

export type FilePin = Extract<OriginIdentity, { kind: 'file' }>;

/**
 * @param deviceSizeBytes asked for block devices only, whose own `size` is 0
 * @throws OriginError `ERR_ORIGIN_REFUSED` for anything but regular files and block devices
 */
export function filePin(path: string, stats: BigIntStats, deviceSizeBytes: () => number): FilePin {
  if (stats.isFile()) return { kind: 'file', sizeBytes: Number(stats.size), inode: String(stats.ino), mtimeNs: String(stats.mtimeNs) };
  if (stats.isBlockDevice()) return { kind: 'file', sizeBytes: deviceSizeBytes(), inode: `device ${stats.rdev}`, mtimeNs: '0' };
  throw new OriginError('ERR_ORIGIN_REFUSED', `${path} is neither a file nor a block device`);
}

export function isDevicePin(pin: FilePin): boolean {
  return pin.inode.startsWith('device ');
}

/** How the file differs from the pinned one, in words; `undefined` when it does not. */
export function fileChange(pin: FilePin, now: FilePin): string | undefined {
  if (pin.sizeBytes !== now.sizeBytes) return `its size was ${pin.sizeBytes} and is ${now.sizeBytes}`;
  if (pin.inode !== now.inode) return 'another file is in its place';
  if (pin.mtimeNs !== now.mtimeNs) return 'it was written to';
  return undefined;
}

const refusalCodes = new Set(['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'ELOOP', 'ENAMETOOLONG', 'ENXIO', 'EISDIR', 'EINVAL']);

/** An error of the operating system about the file, as an OriginError; what is one already, as it is. */
export function fileError(path: string, cause: unknown): unknown {
  const code = errorCode(cause);
  if (code.startsWith('ERR_')) return cause;
  if (refusalCodes.has(code))
    return new OriginError('ERR_ORIGIN_REFUSED', `${path} can't be read (${code}): check path and permissions`, { cause });
  return new OriginError('ERR_ORIGIN_UNAVAILABLE', `${path}: reading failed (${code})`, { cause });
}
