/** Byte sizes as people write them: binary units, as `qemu-img` reads them. */
import { CopseError } from './error.js';

export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;

const unitBytes: Record<string, number> = { '': 1, K: KiB, M: MiB, G: GiB, T: 1024 * GiB, P: 1024 * 1024 * GiB };

/**
 * Reads `4096`, `256K`, `1.5G`, `10GiB`; units are powers of 1024, case does not matter.
 *
 * @throws CopseError `ERR_SIZE` on anything else, negative values and values beyond 2^53
 */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([KMGTP]?)(?:i?B)?$/i.exec(text.trim());
  const bytes = match ? Math.round(Number(match[1]) * (unitBytes[(match[2] ?? '').toUpperCase()] ?? Number.NaN)) : Number.NaN;
  if (!Number.isSafeInteger(bytes)) {
    throw new CopseError('ERR_SIZE', `"${text}" is not a size: write a number of bytes, or a number with K, M, G or T, as in 20G`);
  }
  return bytes;
}

/** `1536` becomes `1.5 KiB`: at most one decimal, the largest unit that leaves at least 1. */
export function formatSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = bytes;
  let unitIndex = 0;
  while (value >= 1024 && unitIndex < units.length - 1) {
    value /= 1024;
    unitIndex += 1;
  }
  return `${value >= 100 || Number.isInteger(value) ? Math.round(value) : value.toFixed(1)} ${units[unitIndex]}`;
}
