/** Origins as operators write them: URLs, and paths relative to a directory. */
import { resolve } from 'node:path';
import { CopseError } from '../base/error.js';
import { originKindOrFault } from '../origin/url.js';

/** Makes a relative path absolute. A URL with a scheme stays as it is. */
export function absoluteUrl(url: string, baseDir: string): string {
  return /^[A-Za-z][A-Za-z0-9+.-]*:/.test(url) ? url : resolve(baseDir, url);
}

/**
 * Checks at its beginning that an origin can be behind a URL or an absolute path.
 *
 * @returns the URL
 * @throws CopseError `ERR_URL`
 */
export function checkOriginUrl(url: string): string {
  const found = originKindOrFault(url);
  if ('kind' in found) return url;
  throw new CopseError('ERR_URL', found.fault);
}
