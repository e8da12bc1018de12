/** The words of a refusal, the same for every format: which image, what it names, what to do. Code `ERR_FORMAT`. */
import { OriginError } from '../../origin.js';

/** Names come out of hostile files: cut, and without control characters. */
export function quoteName(name: string): string {
  const shown = name.length > 200 ? `${name.slice(0, 200)}…` : name;
  return JSON.stringify(shown);
}

/** @param what for example `its data are in the file "x"` */
export function refusal(url: string, what: string, remedy: string): OriginError {
  return new OriginError('ERR_FORMAT', `${url}: refused, ${what}: ${remedy}`);
}

export const convertRemedy = 'an image may name nothing outside itself; make it one self-contained file with qemu-img convert';

/** The header can't be one of the format. */
export function malformed(url: string, format: string, why: string): OriginError {
  return new OriginError('ERR_FORMAT', `${url}: not a ${format} image that can be read: ${why}; if it is a raw disk, give --format raw`);
}
