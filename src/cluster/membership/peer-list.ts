/**
 * Leaves this node's own address out of the configured peers, however it is written.
 *
 * Names and addresses can't tell everything (another address of this host, a forwarded port). The
 * rest shows later, when a peer says this node's own id.
 */
import { lookup } from 'node:dns/promises';
import { hostname } from 'node:os';
import { waitFor } from '../../base/deadline.js';
import { parsePeerAddress } from '../address.js';

/** Lists all addresses of a host. May reject, and may take its time. */
export type ResolveHost = (host: string) => Promise<string[]>;

/** Longest time that a silent name server holds up the start, in ms. */
const resolveTimeoutMs = 2000;

/** Resolves by the system's own means: /etc/hosts, DNS. */
export const resolveHost: ResolveHost = async (host) => (await lookup(host, { all: true })).map(({ address }) => address);

interface Place {
  host: string;
  port: number;
  /** The host itself if it can't be resolved. */
  addresses: ReadonlySet<string>;
}

/**
 * @returns the peers without this node and without duplicates, in their order, as written
 * @throws CopseError `ERR_URL` for an entry that is no HOST:PORT
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
    // The name may resolve later: each connect asks again.
    return { host, port: parsed.port, addresses: new Set([host]) };
  }
}

/**
 * This host's name may stand for another address than the one that peers use (Debian's 127.0.1.1).
 */
function ownNames(own: Place): Place[] {
  return [{ host: hostname().toLowerCase(), port: own.port, addresses: new Set() }];
}

function isSame(left: Place, right: Place): boolean {
  if (left.port !== right.port) return false;
  return left.host === right.host || [...left.addresses].some((address) => right.addresses.has(address));
}

/** An IPv4 address in IPv6 notation is the same place. */
function unmapped(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');
}
