/**
 * Prefixes of origins that the operator allows for disks whose content another node named.
 *
 * Invariant: a prefix covers whole segments. "https://images.example/a" covers "…/a" and "…/a/b",
 * not "…/ab" and not "https://images.example.evil/a". A path covers all files below it, after
 * symbolic links are resolved.
 */
import { realpathSync } from 'node:fs';
import { dirname, isAbsolute, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CopseError } from '../base/error.js';

/** @returns the prefix as it is compared. @throws CopseError `ERR_URL` */
export function checkOriginPrefix(text: string): string {
  if (isAbsolute(text)) return resolve(text);
  if (/^file:\//i.test(text)) return resolve(fileURLToPath(text));
  const url = parse(text);
  const remedy = 'write http://HOST/…, https://HOST/…, nbd://HOST/… or an absolute path';
  if (url === undefined || !['http:', 'https:', 'nbd:'].includes(url.protocol) || url.host === '')
    throw new CopseError('ERR_URL', `"${text}" is not a prefix of an origin's URL: ${remedy}`);
  // Copse prints prefixes, so they must hold no secret.
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    throw new CopseError('ERR_URL', 'a prefix of origins has no user, no query and no fragment: leave them out');
  return url.href;
}

/**
 * True if one of the prefixes, as `checkOriginPrefix` returns them, covers the URL or path. A URL
 * with a user, and a socket, are covered by none.
 */
export function isAllowedOrigin(url: string, prefixes: readonly string[]): boolean {
  const path = pathOf(url);
  if (path !== undefined) return prefixes.some((prefix) => isAbsolute(prefix) && isBelow(path, prefix));
  const parsed = parse(url);
  if (parsed === undefined || parsed.username !== '' || parsed.password !== '') return false;
  return prefixes.some((prefix) => {
    const allowed = parse(prefix);
    if (allowed === undefined || allowed.protocol !== parsed.protocol || allowed.host !== parsed.host) return false;
    return coversSegments(parsed.pathname, allowed.pathname, '/');
  });
}

/**
 * Proposes an entry of `allow_origins` that covers the folder of the URL, without secrets;
 * `undefined` if no entry can cover it.
 */
export function originPrefixFor(url: string): string | undefined {
  const path = pathOf(url);
  if (path !== undefined) return dirname(path);
  const parsed = parse(url);
  if (parsed === undefined || !['http:', 'https:', 'nbd:'].includes(parsed.protocol)) return undefined;
  return `${parsed.protocol}//${parsed.host}${parsed.pathname.replace(/[^/]*$/, '')}`;
}

function pathOf(url: string): string | undefined {
  if (url.startsWith('/')) return url.includes('\0') ? undefined : resolve(url);
  if (!/^file:\//i.test(url)) return undefined;
  try {
    return resolve(fileURLToPath(url));
  } catch {
    return undefined;
  }
}

function parse(url: string): URL | undefined {
  try {
    return new URL(url);
  } catch {
    return undefined;
  }
}

function isBelow(path: string, prefix: string): boolean {
  if (!coversSegments(path, prefix, sep)) return false;
  try {
    return coversSegments(realpathSync(path), realpathSync(prefix), sep);
  } catch {
    return false;
  }
}

function coversSegments(path: string, prefix: string, separator: string): boolean {
  return path === prefix || path.startsWith(prefix.endsWith(separator) ? prefix : `${prefix}${separator}`);
}
