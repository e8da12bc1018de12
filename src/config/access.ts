/**
 * Addresses at which NBD clients and commands reach the daemon, from file and flags together.
 *
 * Invariants:
 * - The result has no address that other hosts can reach, unless the operator consented.
 * - The admin API has at least one address. One is a unix socket, unless the operator turned it
 *   off.
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
  /** The file's values with the flags' values in place of them. */
  written: FileConfig;
  stateDir: string;
}

export type Access = Pick<Config, 'allowRemote' | 'admin' | 'adminAllowRemote' | 'adminToken' | 'adminNames'>;

/** @throws ConfigError, CopseError `ERR_CONFIG` with the first problem */
export async function readAccess(sources: AccessSources): Promise<Access> {
  const { written } = sources;
  const allowRemote = written.allow_remote ?? defaults.allowRemote;
  const adminAllowRemote = written.admin_allow_remote ?? defaults.adminAllowRemote;
  if (!allowRemote)
    refuseRemote(sources, 'listen', 'its clients can write disks, without any authentication', '--allow-remote (allow_remote = true)');
  if (!adminAllowRemote) refuseRemote(sources, 'admin', 'its clients can do anything with this daemon', 'admin_allow_remote = true');
  return {
    allowRemote,
    adminAllowRemote,
    admin: adminAddresses(sources),
    adminToken: written.admin_token_file === undefined ? undefined : await readAdminToken(written.admin_token_file),
    adminNames: written.admin_names ?? [],
  };
}

/**
 * Addresses of the admin API. Unix sockets come first, because commands on this host use the first.
 */
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
    return wrong(`the unix socket is turned off, but admin names ${formatAddress(socket)}: keep one of the two`);
  }
  const addresses = adminAddressesOf(written, stateDir);
  return addresses.length > 0 ? addresses : wrong('without the unix socket no command reaches the daemon: add a tcp:HOST:PORT to admin');
}

function refuseRemote({ file, flags, written }: AccessSources, key: 'listen' | 'admin', danger: string, consent: string): void {
  const index = written[key]?.findIndex((address) => !isLocalAddress(address)) ?? -1;
  const address = written[key]?.[index];
  if (address === undefined) return;
  const source: ConfigSource = flags.config[key] === undefined ? file.source : flags.source;
  const text = `other hosts can reach ${formatAddress(address)}, and ${danger}: choose unix:PATH or tcp:127.0.0.1:PORT, or add ${consent} if the network keeps strangers out`;
  throw new ConfigError([problemAt(source, written[key]?.length === 1 ? [key] : [key, index], text)]);
}
