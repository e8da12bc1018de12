/**
 * Recognizes the member behind a connection to the peers' port by the address that it comes from.
 * Nodes do not yet prove their identity.
 *
 * Several members on one host share an address. The name that the caller gives then chooses among
 * them. A host may connect from any of its addresses, which the member's statement lists. Within
 * the loopback the kernel uses 127.0.0.1 or ::1 for each connection, so those stand for every
 * member of the loopback.
 *
 * Invariant: a name never adds a candidate. It only chooses among those of the address.
 */
import type { Clock } from '../../base/clock.js';
import { CopseError } from '../../base/error.js';
import { parsePeerAddress } from '../../cluster/address.js';
import type { MemberView } from '../../cluster/health/member-view.js';
import { type ResolveHost, resolveHost } from '../../cluster/membership/peer-list.js';
import type { Caller } from '../../disk/protocol/caller.js';
import type { ClientIdentity } from '../../server/export.js';

export interface CallersOptions {
  members(): MemberView[];
  /** Pings an address of the membership whose node is not yet known. */
  meet(address: string): Promise<void>;
  clock: Clock;
  resolve?: ResolveHost | undefined;
}

/** Time that the addresses of a host name are used, in ms. */
const resolvedMs = 30_000;

interface Resolved {
  untilMs: number;
  addresses: Promise<readonly string[]>;
}

export class Callers {
  readonly #options: CallersOptions;
  /** Addresses by host name. */
  readonly #resolved = new Map<string, Resolved>();

  constructor(options: CallersOptions) {
    this.#options = options;
  }

  /**
   * @param name id that the caller gives
   * @returns `undefined` for a stranger
   * @throws CopseError `ERR_CALLER` if the members of the address have other names
   */
  async identify({ key, text }: ClientIdentity, name: string | undefined): Promise<Caller | undefined> {
    const address = /^tcp:(.+)$/.exec(key)?.[1];
    if (address === undefined) return undefined;
    let candidates = await this.#membersAt(address);
    let found = candidates.find((member) => member.id === name && isKnown(member));
    const unknown = found === undefined ? candidates.filter((member) => !isKnown(member)) : [];
    if (unknown.length > 0) {
      await Promise.all(unknown.map((member) => this.#options.meet(member.address)));
      candidates = await this.#membersAt(address);
    }
    candidates = candidates.filter(isKnown);
    const [first, ...others] = candidates;
    if (first === undefined) return undefined;
    found ??= name === undefined && others.length === 0 ? first : candidates.find(({ id }) => id === name);
    if (found !== undefined) return { id: found.id, address: found.address };
    const ids = candidates.map(({ id }) => id).join(', ');
    throw new CopseError(
      'ERR_CALLER',
      name === undefined
        ? `${text} is the address of several nodes (${ids}): the caller has to name itself (from=)`
        : `${text} is the address of node ${ids}, and the caller calls itself "${name}"`,
    );
  }

  async #membersAt(address: string): Promise<MemberView[]> {
    const members = this.#options.members().filter(({ state }) => state === 'up' || state === 'draining' || state === 'down');
    const at = await Promise.all(members.map(async (member) => isAt(address, await this.#addressesOf(member))));
    return members.filter((_member, index) => at[index]);
  }

  async #addressesOf({ address, addresses = [] }: MemberView): Promise<readonly string[]> {
    const { clock, resolve = resolveHost } = this.#options;
    const host = hostOf(address);
    if (host === undefined) return addresses;
    let resolved = this.#resolved.get(host);
    if (resolved === undefined || resolved.untilMs <= clock.nowMs()) {
      // If the name server does not answer, a member counts as a stranger, and never the reverse.
      resolved = { untilMs: clock.nowMs() + resolvedMs, addresses: isIp(host) ? Promise.resolve([host]) : resolve(host).catch(() => []) };
      this.#resolved.set(host, resolved);
    }
    return [...(await resolved.addresses), ...addresses];
  }
}

/** True if the node has told its id. In a static list a node has its address as id until then. */
function isKnown({ id, address }: MemberView): boolean {
  return id !== address;
}

function hostOf(address: string): string | undefined {
  const parsed = parsePeerAddress(address);
  return 'path' in parsed ? undefined : parsed.host;
}

function isIp(host: string): boolean {
  return /^[\d.]+$/.test(host) || host.includes(':');
}

function isAt(address: string, addresses: readonly string[]): boolean {
  const own = plain(address);
  const theirs = addresses.map(plain);
  if (theirs.includes(own)) return true;
  return (own === '127.0.0.1' || own === '::1') && theirs.some((each) => each === '::1' || each.startsWith('127.'));
}

/** The address without its zone, and an IPv4-mapped IPv6 address as IPv4. */
function plain(address: string): string {
  return address
    .replace(/%.*$/, '')
    .replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '')
    .toLowerCase();
}
