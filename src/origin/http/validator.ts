/**
 * Validators of HTTP content: taken from a response, sent in a request, compared.
 *
 * A strong ETag promises equal bytes (RFC 9110, 8.8.1) and decides alone. Without one,
 * Last-Modified and a weak ETag are the best there is: equal ones mean "unchanged", any difference
 * means "changed".
 *
 * Conditions go into `If-Match` and `If-Unmodified-Since`, which answer a change with a bare 412.
 * `If-Range` would answer it with the whole content (13.1.5). Copse compares every response as
 * well, because some servers ignore conditions.
 */
import type { OriginIdentity } from '../origin.js';

export type HttpPin = Extract<OriginIdentity, { kind: 'http' }>;
export type HttpHeaders = Record<string, string | string[] | undefined>;

/** @returns the value of a header; of a repeated one the first */
export function headerValue(headers: HttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** True if there is an ETag that promises byte equality. */
export function isStrong(etag: string | undefined): etag is string {
  return etag?.startsWith('"') === true;
}

/** @returns the pin of the content of this response; `undefined` if it has no validator */
export function pinOf(headers: HttpHeaders, sizeBytes: number): HttpPin | undefined {
  const etag = headerValue(headers, 'etag');
  if (isStrong(etag)) return { kind: 'http', sizeBytes, etag };
  const lastModified = headerValue(headers, 'last-modified');
  if (etag === undefined && lastModified === undefined) return undefined;
  return { kind: 'http', sizeBytes, ...(etag === undefined ? {} : { etag }), ...(lastModified === undefined ? {} : { lastModified }) };
}

/**
 * @returns request headers (name, value, …) with which an honest server sends no other content than
 * the pinned
 */
export function conditionsOf(pin: HttpPin): string[] {
  if (isStrong(pin.etag)) return ['if-match', pin.etag];
  return pin.lastModified === undefined ? [] : ['if-unmodified-since', pin.lastModified];
}

/**
 * @returns the difference of the response's content from the pinned, in words; `undefined` if there
 * is no sign of one
 */
export function changeOf(pin: HttpPin, headers: HttpHeaders): string | undefined {
  const etag = headerValue(headers, 'etag');
  if (isStrong(pin.etag)) return etag === pin.etag ? undefined : difference('ETag', pin.etag, etag);
  if (pin.etag !== undefined && opaque(pin.etag) !== opaque(etag)) return difference('ETag', pin.etag, etag);
  const lastModified = headerValue(headers, 'last-modified');
  if (pin.lastModified !== undefined && pin.lastModified !== lastModified)
    return difference('Last-Modified', pin.lastModified, lastModified);
  return undefined;
}

function difference(name: string, was: string, is: string | undefined): string {
  return `its ${name} was ${was} and is ${is ?? 'missing'}`;
}

/** Weak comparison looks at the opaque part alone (RFC 9110, 8.8.3.2). */
function opaque(etag: string | undefined): string | undefined {
  return etag?.replace(/^W\//, '');
}
