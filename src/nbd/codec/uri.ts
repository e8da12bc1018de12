/**
 * Parses and formats NBD URIs. Source: doc/uri.md of the NBD project.
 *
 * `nbd://HOST[:PORT]/EXPORT` and `nbd+unix:///EXPORT?socket=PATH`. The TLS schemes are refused
 * while there is no TLS.
 */
import { displayUrl } from '../../base/display-url.js';
import { CopseError } from '../../base/error.js';
import { DEFAULT_PORT, MAX_STRING_BYTES } from './constant.js';

export type NbdAddress = { host: string; port: number } | { path: string };

export interface NbdUri {
  address: NbdAddress;
  /** Name of the export; empty for the server's default export. */
  exportName: string;
}

function fail(text: string, why: string, cause?: unknown): never {
  throw new CopseError('ERR_URL', `"${displayUrl(text)}" is no usable NBD URI: ${why}`, { cause });
}

function decode(text: string, part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    return fail(text, 'a percent sign in it does not begin an encoded character', error);
  }
}

/** @throws CopseError `ERR_URL` */
export function parseNbdUri(text: string): NbdUri {
  const parts = /^([a-z0-9+.-]+):\/\/([^/?#]*)(\/[^?#]*)?(?:\?([^#]*))?$/i.exec(text);
  if (!parts) return fail(text, 'it is not of the form nbd://HOST[:PORT]/EXPORT or nbd+unix:///EXPORT?socket=PATH');
  const [, scheme = '', authority = '', path = '', query = ''] = parts;
  const exportName = decode(text, path.slice(1));
  if (exportName.includes('\0') || Buffer.byteLength(exportName) > MAX_STRING_BYTES)
    fail(text, 'its export name holds a NUL or is too long');
  const parameters = parseQuery(text, query);
  switch (scheme.toLowerCase()) {
    case 'nbd':
      if (parameters.size > 0) fail(text, `parameter "${[...parameters.keys()][0]}" is not known for nbd://`);
      return { address: parseAuthority(text, authority), exportName };
    case 'nbd+unix':
      return { address: parseSocket(text, authority, parameters), exportName };
    case 'nbds':
    case 'nbds+unix':
      return fail(text, 'it asks for TLS, which is not supported yet: use nbd:// or nbd+unix://');
    default:
      return fail(text, `scheme "${scheme}" is not nbd or nbd+unix`);
  }
}

/** Only percent-encoding counts: in a URI a plus is a plus. */
function parseQuery(text: string, query: string): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const pair of query.split('&')) {
    if (pair === '') continue;
    const at = pair.indexOf('=');
    const key = decode(text, at < 0 ? pair : pair.slice(0, at));
    if (parameters.has(key)) fail(text, `parameter "${key}" is given twice`);
    parameters.set(key, at < 0 ? '' : decode(text, pair.slice(at + 1)));
  }
  return parameters;
}

function parseSocket(text: string, authority: string, parameters: ReadonlyMap<string, string>): NbdAddress {
  if (authority !== '') fail(text, 'nbd+unix:// takes no host: write three slashes, nbd+unix:///EXPORT?socket=PATH');
  const path = parameters.get('socket');
  if (path === undefined || path === '') return fail(text, 'it names no socket: add ?socket=PATH');
  const unknown = [...parameters.keys()].find((key) => key !== 'socket');
  if (unknown !== undefined) fail(text, `parameter "${unknown}" is not known`);
  return { path };
}

function parseAuthority(text: string, authority: string): NbdAddress {
  if (authority.includes('@')) fail(text, 'a user name is only used with TLS');
  const parts = /^(?:\[([0-9a-f:.]+(?:%25[^\]]+)?)\]|([^:[\]]+))(?::(\d*))?$/i.exec(authority);
  if (!parts) return fail(text, authority === '' ? 'it names no host' : `"${authority.replace(/^.*@/s, '')}" is not HOST or HOST:PORT`);
  const [, ipv6, host, portText = ''] = parts;
  const port = portText === '' ? DEFAULT_PORT : Number(portText);
  if (port < 1 || port > 65535) fail(text, `port ${portText} is not between 1 and 65535`);
  return { host: decode(text, ipv6 ?? host ?? ''), port };
}

/** Formats a URI as `parseNbdUri` parses it. Slashes in the export's name stay. */
export function formatNbdUri(uri: NbdUri): string {
  const name = encodeURIComponent(uri.exportName).replaceAll('%2F', '/');
  const { address } = uri;
  if ('path' in address) return `nbd+unix:///${name}?socket=${encodeURIComponent(address.path).replaceAll('%2F', '/')}`;
  const host = address.host.includes(':') ? `[${address.host.replace('%', '%25')}]` : encodeURIComponent(address.host);
  return `nbd://${host}${address.port === DEFAULT_PORT ? '' : `:${address.port}`}/${name}`;
}
