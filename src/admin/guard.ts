/**
 * Keeps strangers and web pages out of an admin API on TCP: a browser on the same host would carry the requests of a page.
 *
 * Invariants: a request passes only if its `Host` is this host (against DNS rebinding), whatever else is allowed; it is not sent by a page
 * from elsewhere (its `Origin`, if any, is the host that it asks); and it carries the token, where there is one.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { isLoopbackHost } from '../base/loopback.js';
import type { Secret } from '../base/secret.js';

export interface GuardRule {
  /** Other hosts may ask too: any IP address may stand for this host. A page can't make one of its own. */
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
    return forbidden(
      `the request is for ${name}, which is not this host's own name for itself: ask by an address, or add the name to admin_names`,
    );
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

/** In a time that does not depend on how much is right. */
function isEqual(given: string, wanted: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}
