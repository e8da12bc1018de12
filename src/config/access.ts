/**
 * What file and flags together say of who may reach the daemon: where NBD clients attach, and where the admin API listens.
 *
 * Invariants: without an explicit word no address that other hosts can reach is in the result; the admin API has at least one address,
 * and a unix socket unless it is turned off.
 */
import { formatAddress, isLocalAddress, type SocketAddress } from './address.js';
import { readAdminToken } from './admin-token.js';
import type { FileConfig } from './file-schema.js';
import { checkedDefault, defaultAdmin } from './place.js';
import { ConfigError, type ConfigSource, problemAt } from './problem.js';
import type { ConfigPart } from './read.js';
import { type Config, defaults } from './schema.js';

export interface AccessSources {
  file: ConfigPart;
  flags: ConfigPart;
  /** Flags over file. */
  written: FileConfig;
  stateDir: string;
}

export type Access = Pick<Config, 'allowRemote' | 'admin' | 'adminAllowRemote' | 'adminToken' | 'adminNames'>;

/** @throws ConfigError, CopseError `ERR_CONFIG` with the first thing that is wrong */
export async function readAccess(sources: AccessSources): Promise<Access> {
  const { written } = sources;
  const allowRemote = written.allow_remote ?? defaults.allowRemote;
  const adminAllowRemote = written.admin_allow_remote ?? defaults.adminAllowRemote;
  if (!allowRemote)
    refuseRemote(sources, 'listen', 'clients on it can write disks, without any authentication', '--allow-remote (allow_remote = true)');
  if (!adminAllowRemote) refuseRemote(sources, 'admin', 'it can do anything with this daemon', 'admin_allow_remote = true');
  return {
    allowRemote,
    adminAllowRemote,
    admin: adminAddresses(sources),
    adminToken: written.admin_token_file === undefined ? undefined : await readAdminToken(written.admin_token_file),
    adminNames: written.admin_names ?? [],
  };
}

/** Unix sockets first: commands on this host use them. */
export function adminAddressesOf(written: Pick<FileConfig, 'admin' | 'admin_socket'>, stateDir: string): SocketAddress[] {
  const given = written.admin ?? [];
  const isUnix = ({ kind }: SocketAddress): boolean => kind === 'unix';
  const sockets = given.filter(isUnix);
  const wantsDefault = sockets.length === 0 && (written.admin_socket ?? true);
  return [
    ...(wantsDefault ? [checkedDefault('--admin', defaultAdmin(stateDir))] : sockets),
    ...given.filter((address) => !isUnix(address)),
  ];
}

function adminAddresses({ file, flags, written, stateDir }: AccessSources): SocketAddress[] {
  const socketSource = flags.config.admin_socket === undefined ? file.source : flags.source;
  const wrong = (message: string): never => {
    throw new ConfigError([problemAt(socketSource, ['admin_socket'], message)]);
  };
  const socket = written.admin?.find(({ kind }) => kind === 'unix');
  if (written.admin_socket === false && socket !== undefined) {
    return wrong(`the unix socket is turned off, and admin names ${formatAddress(socket)}: keep one of the two`);
  }
  const addresses = adminAddressesOf(written, stateDir);
  return addresses.length > 0 ? addresses : wrong('without it no command reaches the daemon: give admin a tcp:HOST:PORT, too');
}

function refuseRemote({ file, flags, written }: AccessSources, key: 'listen' | 'admin', danger: string, consent: string): void {
  const index = written[key]?.findIndex((address) => !isLocalAddress(address)) ?? -1;
  const address = written[key]?.[index];
  if (address === undefined) return;
  const source: ConfigSource = flags.config[key] === undefined ? file.source : flags.source;
  const text = `${formatAddress(address)} can be reached by other hosts, and ${danger}: choose unix:PATH or tcp:127.0.0.1:PORT, or say ${consent} when the network keeps others out`;
  throw new ConfigError([problemAt(source, written[key]?.length === 1 ? [key] : [key, index], text)]);
}
