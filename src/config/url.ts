/** Origins as people write them: URLs, and paths relative to where they stand. */
import { resolve } from 'node:path';
import { CopseError } from '../base/error.js';

/** A relative path becomes absolute; whatever has a scheme stays as it is. */
export function absoluteUrl(url: string, baseDir: string): string {
  return /^[A-Za-z][A-Za-z0-9+.-]*:/.test(url) ? url : resolve(baseDir, url);
}

const originSchemes = ['https', 'http', 'nbd', 'nbd+unix', 'file'];

/**
 * Whether an origin can be behind it at all, seen from its beginning: an absolute path, or a URL of a scheme that Copse fetches from.
 *
 * @returns the URL
 * @throws CopseError `ERR_URL`
 */
export function checkOriginUrl(url: string): string {
  const use = 'use https://…, http://…, nbd://…, nbd+unix://…, file:///… or a path';
  if (url.startsWith('/')) return url;
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase();
  if (scheme === undefined) throw new CopseError('ERR_URL', `"${url}" is a relative path: give an absolute one`);
  // The rest may hold a password.
  if (!originSchemes.includes(scheme)) {
    throw new CopseError('ERR_URL', `${scheme}: is not a kind of origin that Copse knows: ${use} (./${scheme}:… for a file of that name)`);
  }
  if (scheme === 'file' && !/^file:\//i.test(url)) {
    throw new CopseError('ERR_URL', `"${url}" is a relative path: give an absolute one, as in file:///srv/image.raw, or the path alone`);
  }
  return url;
}
