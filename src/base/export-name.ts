/**
 * Names of images and disks, which clients attach to as exports. The one place that decides which
 * names are allowed.
 *
 * Invariant: an accepted name is one path below any directory, and one key below any prefix.
 */
import { CopseError } from './error.js';

/** Longest name of an export, in characters. */
export const maxExportNameLength = 255;

const known = /^(?!.*\/\.\.?(?:\/|$))[A-Za-z0-9_-][A-Za-z0-9._/-]{0,254}$/;

/**
 * Checks the name of a new image or disk. It must not begin with a dash, because commands would
 * take it for an option.
 *
 * @throws CopseError `ERR_NAME`
 */
export function checkExportName(name: string): string {
  if (!isDashed(name)) return checkKnownName(name);
  throw new CopseError('ERR_NAME', `"${name}" can't name an image or a disk: it begins with a dash, as an option does`);
}

/**
 * Checks a name that is in use already. Earlier versions let one begin with a dash, and it is
 * served on.
 *
 * @throws CopseError `ERR_NAME`
 */
export function checkKnownName(name: string): string {
  if (known.test(name)) return name;
  throw new CopseError(
    'ERR_NAME',
    `"${name}" can't name an image or a disk: use 1 to 255 of A-Z a-z 0-9 . _ - and /, begin with a letter, a digit or _, and leave . and .. between slashes out, as in debian-12/base`,
  );
}

/** True for a name that only an earlier version made. */
export function isDashed(name: string): boolean {
  return name.startsWith('-');
}
