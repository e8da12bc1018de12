/**
 * Identity of a file: inode, size and time of the last change. A block device has only its number
 * and its size, so a write to the device past Copse goes unnoticed.
 */
import type { BigIntStats } from 'node:fs';
import { errorCode } from '../../base/error.js';
import { OriginError, type OriginIdentity } from '../origin.js';

export type FilePin = Extract<OriginIdentity, { kind: 'file' }>;

/**
 * @param deviceSizeBytes is called for block devices alone, whose own `size` is 0
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

/** @returns the difference from the pinned file, in words; `undefined` if there is none */
export function fileChange(pin: FilePin, now: FilePin): string | undefined {
  if (pin.sizeBytes !== now.sizeBytes) return `its size was ${pin.sizeBytes} and is ${now.sizeBytes}`;
  if (pin.inode !== now.inode) return 'another file is in its place';
  if (pin.mtimeNs !== now.mtimeNs) return 'it was written to';
  return undefined;
}

const refusalCodes = new Set(['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'ELOOP', 'ENAMETOOLONG', 'ENXIO', 'EISDIR', 'EINVAL']);

/**
 * Turns an error of the operating system about the file into an OriginError. An OriginError stays
 * as it is.
 */
export function fileError(path: string, cause: unknown): unknown {
  const code = errorCode(cause);
  if (code.startsWith('ERR_')) return cause;
  if (refusalCodes.has(code))
    return new OriginError('ERR_ORIGIN_REFUSED', `${path} can't be read (${code}): check path and permissions`, { cause });
  return new OriginError('ERR_ORIGIN_UNAVAILABLE', `${path}: reading failed (${code})`, { cause });
}
