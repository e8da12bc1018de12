/** Origin URLs: which kind of origin one names, and its path or URL. */
import { fileURLToPath } from 'node:url';
import { displayUrl } from '../base/display-url.js';
import { OriginError } from './origin.js';

export type OriginKind = 'http' | 'file' | 'nbd';

/** For error texts and documentation. */
const supportedOrigins = 'https://…, http://…, file:///…, an absolute path, nbd://…, nbd+unix://…';

/** @throws OriginError `ERR_ORIGIN_REFUSED` for what Copse can't fetch from; the text lists what it can */
export function originKind(url: string): OriginKind {
  if (url.startsWith('/')) return 'file';
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase();
  switch (scheme) {
    case 'http':
    case 'https':
      return 'http';
    case 'file':
      return 'file';
    case 'nbd':
    case 'nbd+unix':
      return 'nbd';
    case undefined:
      throw new OriginError(
        'ERR_ORIGIN_REFUSED',
        `${JSON.stringify(url)} is a relative path: give an absolute one, or one of ${supportedOrigins}`,
      );
    default:
      throw new OriginError(
        'ERR_ORIGIN_REFUSED',
        `${displayUrl(url)}: ${scheme}: is not a kind of origin that Copse knows; use ${supportedOrigins}`,
      );
  }
}

/**
 * The absolute path that a plain path or a `file:` URL names.
 *
 * @throws OriginError `ERR_ORIGIN_REFUSED` for relative paths and other hosts
 */
export function originPath(url: string): string {
  if (url.includes('\0')) throw new OriginError('ERR_ORIGIN_REFUSED', 'the path holds a NUL byte');
  if (url.startsWith('/')) return url;
  if (!/^file:\//i.test(url)) {
    throw new OriginError(
      'ERR_ORIGIN_REFUSED',
      `${JSON.stringify(url)} is a relative path: give an absolute one, as in file:///srv/image.raw`,
    );
  }
  try {
    return fileURLToPath(url);
  } catch (cause) {
    throw new OriginError('ERR_ORIGIN_REFUSED', `${JSON.stringify(url)} does not name a local file: write file:///path or the path alone`, {
      cause,
    });
  }
}

/** @throws OriginError `ERR_ORIGIN_REFUSED` when it is no URL */
export function httpUrl(url: string): URL {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch (cause) {
    throw new OriginError('ERR_ORIGIN_REFUSED', `${displayUrl(url)} is not a URL: check host and port`, { cause });
  }
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') {
    throw new OriginError('ERR_ORIGIN_REFUSED', `${displayUrl(url)} is not an HTTP URL`);
  }
  return parsed;
}
