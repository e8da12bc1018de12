/**
 * Digests as text: `blake3:` and 64 hexadecimal digits in lower case. The one place that says so.
 *
 * Loads no hash function, because commands that only pass a digest on have to start fast.
 */
import { CopseError } from './error.js';

const prefix = 'blake3:';
const hexPattern = /^[0-9a-f]{64}$/;

export function isDigest(text: string): boolean {
  return text.startsWith(prefix) && isDigestHex(text.slice(prefix.length));
}

/** True for the 64 digits alone. */
export function isDigestHex(text: string): boolean {
  return hexPattern.test(text);
}

/** @throws CopseError `ERR_DIGEST` */
export function checkDigest(text: string): string {
  if (isDigest(text)) return text;
  throw new CopseError('ERR_DIGEST', `"${text}" is not a digest: write blake3: and 64 hexadecimal digits, as "copse image seal" prints it`);
}

/** @returns the 64 digits alone. @throws CopseError `ERR_DIGEST` */
export function digestHex(digest: string): string {
  return checkDigest(digest).slice(prefix.length);
}

/** The text of a digest whose 64 digits are known. */
export function digestFromHex(hex: string): string {
  return `${prefix}${hex}`;
}
