/**
 * Which of the configured peers are others: one's own address is left out, however it is written.
 *
 * What names and addresses can't tell (another address of this host, a forwarded port) shows later, when a peer says this node's own id.
 */
import { lookup } from 'node:dns/promises';
import { hostname } from 'node:os';
import { waitFor } from '../../base/deadline.js';
import { parsePeerAddress } from '../address.js';

/** All addresses of a host. May reject, and may take its time. */
export type ResolveHost = (host: string) => Promise<string[]>;

/** A name server that does not answer holds up the start for this long. */
const resolveTimeoutMs = 2000;

/** By the system's own means: /etc/hosts, DNS. */
export const resolveHost: ResolveHost = async (host) => (await lookup(host, { all: true })).map(({ address }) => address);

interface Place {
  host: string;
  port: number;
  /** The host itself when it can't be resolved. */
  addresses: ReadonlySet<string>;
}

/**
 * The peers without oneself and without the same one twice, in their order, as written.
 *
 * @throws CopseError `ERR_URL` for what is no HOST:PORT
 */
export async function otherPeers(peers: readonly string[], self: string, resolve: ResolveHost = resolveHost): Promise<string[]> {
  const [own, ...places] = await Promise.all([self, ...peers].map((text) => placeOf(text, resolve)));
  const seen = own === undefined ? [] : [own, ...ownNames(own)];
  const others: string[] = [];
  for (const [index, place] of places.entries()) {
    if (seen.some((other) => isSame(place, other))) continue;
    seen.push(place);
    others.push(peers[index] ?? '');
  }
  return others;
}

async function placeOf(text: string, resolve: ResolveHost): Promise<Place> {
  const parsed = parsePeerAddress(text);
  if ('path' in parsed) throw new TypeError('a peer has no path');
  const host = parsed.host.toLowerCase();
  try {
    const addresses = await waitFor(`resolution of ${host}`, resolve(host), { timeoutMs: resolveTimeoutMs });
    return { host, port: parsed.port, addresses: new Set(addresses.map(unmapped)) };
  } catch {
    // It may be known later: whoever connects asks again.
    return { host, port: parsed.port, addresses: new Set([host]) };
  }
}

/** This host's name may stand for another address than the one that peers use (Debian's 127.0.1.1). */
function ownNames(own: Place): Place[] {
  return [{ host: hostname().toLowerCase(), port: own.port, addresses: new Set() }];
}

function isSame(left: Place, right: Place): boolean {
  if (left.port !== right.port) return false;
  return left.host === right.host || [...left.addresses].some((address) => right.addresses.has(address));
}

/** An IPv4 address in IPv6 clothes is the same place. */
function unmapped(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');
}
