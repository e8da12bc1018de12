/**
 * Keeps strangers and web pages out of an admin API on TCP. Without it, a browser on the same host
 * would carry out the requests of any page.
 *
 * Invariants:
 * - A request passes only if its `Host` is this host, which stops DNS rebinding.
 * - A request with an `Origin` passes only if that is the host it asks.
 * - A request passes only with the token, if there is one.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { isLoopbackHost } from '../base/loopback.js';
import type { Secret } from '../base/secret.js';

export interface GuardRule {
  /**
   * True if other hosts may ask. Then `Host` may be any IP address, because a page can't make an
   * address of its own.
   */
  allowRemote: boolean;
  /** Names of this host, in lower case, besides `localhost`. */
  names: readonly string[];
  token: Secret | undefined;
}

export interface Refusal {
  status: 401 | 403;
  code: 'ERR_UNAUTHORIZED' | 'ERR_FORBIDDEN';
  reason: string;
}

/** @returns why the request is refused, or `undefined` */
export function refusal(headers: IncomingHttpHeaders, { allowRemote, names, token }: GuardRule): Refusal | undefined {
  const forbidden = (reason: string): Refusal => ({ status: 403, code: 'ERR_FORBIDDEN', reason });
  const host = hostOf(`http://${headers.host ?? ''}`);
  if (host === undefined) return forbidden('the request names no host');
  const name = new URL(`http://${host}`).hostname.replace(/^\[|\]$/g, '');
  const isKnown = isLoopbackHost(name) || names.includes(name) || (allowRemote && isIP(name) !== 0);
  if (!isKnown) {
    return forbidden(`the request names the host ${name}, which is no name of this host: use an address, or add the name to admin_names`);
  }
  if (headers.origin !== undefined && hostOf(headers.origin) !== host)
    return forbidden(`the request comes from a page of ${headers.origin}`);
  if (token === undefined || isEqual(headers.authorization ?? '', `Bearer ${token.reveal()}`)) return undefined;
  const reason = 'the admin token is missing or wrong: give its file by --admin-token-file or COPSE_ADMIN_TOKEN_FILE';
  return { status: 401, code: 'ERR_UNAUTHORIZED', reason };
}

function hostOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).host : undefined;
}

/** Compares in a time that does not depend on where the texts differ. */
function isEqual(given: string, wanted: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}
