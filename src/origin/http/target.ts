/**
 * Target of a request: a URL made ready for the wire, and the rules for following a redirect to
 * another one.
 *
 * Invariants: a redirect never leads from https to http, nor away from HTTP. User and password of
 * the first URL stay with its host.
 */

import { displayUrl } from '../../base/display-url.js';
import { type OriginCredential, OriginError } from '../origin.js';
import { authorizationFor, credentialFor } from './credential.js';

export interface HttpTarget {
  readonly url: URL;
  /** URL for people and logs. */
  readonly display: string;
  /** Path and query, as sent. */
  readonly path: string;
  /** Headers of every request to this target: name, value, name, value. */
  readonly headers: readonly string[];
  /** PEM file to trust instead of the system's certificate authorities. */
  readonly caFile: string | undefined;
}

export function httpTarget(url: URL, credentials: readonly OriginCredential[]): HttpTarget {
  const credential = credentialFor(url, credentials);
  const authorization = authorizationFor(url, credential);
  const headers = ['accept', '*/*', 'accept-encoding', 'identity', 'user-agent', 'copse'];
  if (authorization !== undefined) headers.push('authorization', authorization);
  return { url, display: displayUrl(url.href), path: url.pathname + url.search, headers, caFile: credential?.caFile };
}

/**
 * @returns the target that a `Location` leads to
 * @throws OriginError `ERR_ORIGIN_REFUSED` if it may not be followed
 */
export function redirectedTarget(from: HttpTarget, location: string, credentials: readonly OriginCredential[]): HttpTarget {
  if (!URL.canParse(location, from.url.href)) {
    throw new OriginError('ERR_ORIGIN_REFUSED', `${from.display} redirects to something that is no URL`);
  }
  const to = new URL(location, from.url);
  if (to.protocol !== 'https:' && to.protocol !== from.url.protocol) {
    throw new OriginError(
      'ERR_ORIGIN_REFUSED',
      `${from.display} redirects to ${displayUrl(to.href)}: from ${from.url.protocol} that is not followed`,
    );
  }
  // A server must not make this node send secrets of its choice. Those of the first URL go on only
  // to its own host.
  to.username = to.origin === from.url.origin ? from.url.username : '';
  to.password = to.origin === from.url.origin ? from.url.password : '';
  return httpTarget(to, credentials);
}
