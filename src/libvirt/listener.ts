/**
 * The daemon's listeners as domains name them. They decide the address of a new disk, and whether a
 * domain's disk is one of Copse's.
 *
 * No name is looked up in the DNS. Two hosts are the same if their addresses, or their names as
 * written, are equal.
 */
import { realpathSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { CopseError } from '../base/error.js';
import { type NbdAddress, parseNbdUri } from '../nbd/codec/uri.js';

const wildcards = ['0.0.0.0', '::'];

export interface ListenerChoice {
  /** True if the TCP listener is chosen although there is a unix socket. */
  tcp?: boolean | undefined;
  /** Host to write if the TCP listener takes every address of its host. */
  host?: string | undefined;
}

/**
 * @param listeners URIs without export names, as `DaemonStatus.listeners` has them
 * @returns the first unix socket; with `tcp`, or where there is none, the first TCP address
 * @throws CopseError `ERR_NO_LISTENER`
 */
export function chooseListener(listeners: readonly string[], { tcp = false, host }: ListenerChoice = {}): NbdAddress {
  const addresses = listeners.map((uri) => parseNbdUri(uri).address);
  const unix = addresses.find((address) => 'path' in address);
  if (!tcp && host === undefined && unix !== undefined) return unix;
  const chosen = addresses.find((address) => 'port' in address);
  if (chosen === undefined || 'path' in chosen) {
    const advice = 'add one to its configuration, as in listen = ["unix:/run/copse/nbd.sock", "tcp:127.0.0.1:10809"]';
    throw new CopseError('ERR_NO_LISTENER', `the daemon listens on ${tcp || host !== undefined ? 'no TCP address' : 'nothing'}: ${advice}`);
  }
  if (host !== undefined) return { host, port: chosen.port };
  if (!wildcards.includes(chosen.host)) return chosen;
  return { host: chosen.host === '::' ? '::1' : '127.0.0.1', port: chosen.port };
}

export class Listeners {
  readonly #sockets = new Set<string>();
  readonly #hostsByPort = new Map<number, Set<string>>();

  /** @param addresses at which the daemon listens, or would listen */
  constructor(addresses: readonly NbdAddress[], local: ReadonlySet<string> = localNames()) {
    for (const address of addresses) {
      if ('path' in address) {
        this.#sockets.add(canonicalPath(address.path));
        continue;
      }
      const hosts = this.#hostsByPort.get(address.port) ?? new Set();
      this.#hostsByPort.set(address.port, hosts);
      const host = address.host.toLowerCase();
      // A domain may name a listener of this host by any of the host's names and addresses.
      for (const name of wildcards.includes(host) || local.has(host) ? [host, ...local] : [host]) hosts.add(name);
    }
  }

  /** @param uris as `DaemonStatus.listeners` has them */
  static fromUris(uris: readonly string[]): Listeners {
    return new Listeners(uris.map((uri) => parseNbdUri(uri).address));
  }

  has(address: NbdAddress): boolean {
    if ('path' in address) return this.#sockets.has(canonicalPath(address.path));
    return this.#hostsByPort.get(address.port)?.has(address.host.toLowerCase()) ?? false;
  }
}

function localNames(): Set<string> {
  const names = new Set(['localhost', '127.0.0.1', '::1', hostname().toLowerCase()]);
  for (const addresses of Object.values(networkInterfaces())) for (const { address } of addresses ?? []) names.add(address.toLowerCase());
  return names;
}

/** Resolves links, as from `/var/run` to `/run`. A path that does not exist stands for itself. */
function canonicalPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
