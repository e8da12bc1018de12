/** Origin URLs: the kind of origin, and its path or URL. */
import { fileURLToPath } from 'node:url';
import { displayUrl } from '../base/display-url.js';
import { OriginError } from './origin.js';

export type OriginKind = 'http' | 'file' | 'nbd';

const kindByScheme: Readonly<Record<string, OriginKind>> = { https: 'http', http: 'http', nbd: 'nbd', 'nbd+unix': 'nbd', file: 'file' };
const supportedOrigins = 'use https://…, http://…, nbd://…, nbd+unix://…, file:///… or an absolute path';

/**
 * Looks at the beginning of a URL or path alone.
 *
 * @returns the kind of origin behind it, or the fault for which there can be none. The fault's text
 *   holds no secret.
 */
export function originKindOrFault(url: string): { kind: OriginKind } | { fault: string } {
  if (url.startsWith('/')) return { kind: 'file' };
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase();
  if (scheme === undefined) return { fault: `${JSON.stringify(displayUrl(url))} is a relative path: give an absolute one` };
  const kind = Object.hasOwn(kindByScheme, scheme) ? kindByScheme[scheme] : undefined;
  // The rest of the URL may hold a password.
  if (kind === undefined)
    return { fault: `${scheme}: is not a kind of origin that Copse knows: ${supportedOrigins} (./${scheme}:… for a file of that name)` };
  if (scheme === 'file' && !/^file:\//i.test(url)) {
    return { fault: `"${url}" is a relative path: give an absolute one, as in file:///srv/image.raw, or the path alone` };
  }
  return { kind };
}

/** @throws OriginError `ERR_ORIGIN_REFUSED` if Copse can't fetch from there */
export function originKind(url: string): OriginKind {
  const found = originKindOrFault(url);
  if ('kind' in found) return found.kind;
  throw new OriginError('ERR_ORIGIN_REFUSED', found.fault);
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
