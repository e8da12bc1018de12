/**
 * Keeps web pages out of an admin API on TCP, which has no authentication: a browser on the same host would carry their requests.
 *
 * Invariant: a request passes only if it names this host (against DNS rebinding, when only local addresses are allowed) and is not
 * sent by a page from elsewhere (its `Origin`, if any, is the host that it asks).
 */
import type { IncomingHttpHeaders } from 'node:http';
import { isLocalAddress } from '../config/address.js';

function hostOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).host : undefined;
}

/** @returns why the request is refused, or `undefined` */
export function refusal(headers: IncomingHttpHeaders, onlyLocal: boolean): string | undefined {
  const host = hostOf(`http://${headers.host ?? ''}`);
  if (host === undefined) return 'the request names no host';
  const name = new URL(`http://${host}`).hostname.replace(/^\[|\]$/g, '');
  if (onlyLocal && !isLocalAddress({ kind: 'tcp', host: name, port: 0 }))
    return `the request is for ${name}, which is not this host's own name for itself`;
  if (headers.origin !== undefined && hostOf(headers.origin) !== host) return `the request comes from a page of ${headers.origin}`;
  return undefined;
}
