/**
 * Words the refusal of an image, the same for every format: the image, the name in it, the remedy.
 * Code `ERR_FORMAT`.
 */
import { OriginError } from '../../origin.js';

/** Names come out of hostile files: they are cut, and printed without control characters. */
export function quoteName(name: string): string {
  const shown = name.length > 200 ? `${name.slice(0, 200)}…` : name;
  return JSON.stringify(shown);
}

/** @param what for example `its data are in the file "x"` */
export function refusal(url: string, what: string, remedy: string): OriginError {
  return new OriginError('ERR_FORMAT', `${url}: refused, ${what}: ${remedy}`);
}

export const convertRemedy = 'an image may name nothing outside itself; make it one self-contained file with qemu-img convert';

/** Makes the error for a header that can't be one of the format. */
export function malformed(url: string, format: string, why: string): OriginError {
  return new OriginError('ERR_FORMAT', `${url}: not a ${format} image that can be read: ${why}; if it is a raw disk, give --format raw`);
}
