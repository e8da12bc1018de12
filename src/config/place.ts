/** Defaults that depend on the user and the host: the state directory, sockets, the node's id. */
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { CopseError, errorMessage } from '../base/error.js';
import { absoluteAddress, type SocketAddress } from './address.js';

/** Environment variables, user and host, which decide the defaults. */
export interface Surroundings {
  env: Readonly<Record<string, string | undefined>>;
  isRoot: boolean;
  hostName: string;
}

export function currentSurroundings(): Surroundings {
  return { env: process.env, isRoot: process.getuid?.() === 0, hostName: hostname() };
}

/** The host's name, without characters that a node's id can't have. */
export function defaultNodeId({ hostName }: Surroundings): string {
  const id = hostName
    .replaceAll(/[^A-Za-z0-9._-]/g, '-')
    .replace(/^[._-]+/, '')
    .slice(0, 63);
  return id === '' ? 'node' : id;
}

/**
 * `/var/lib/copse` for root; else `$XDG_STATE_HOME/copse` or `~/.local/state/copse` (XDG Base
 * Directory Specification 0.8).
 */
export function defaultStateDir({ env, isRoot }: Surroundings): string {
  if (isRoot) return '/var/lib/copse';
  return join(env['XDG_STATE_HOME'] || join(env['HOME'] || homedir(), '.local', 'state'), 'copse');
}

/**
 * `/run/copse/nbd.sock` for root; else below `$XDG_RUNTIME_DIR`, or in the state directory where
 * there is none.
 */
export function defaultListen({ env, isRoot }: Surroundings, stateDir: string): SocketAddress {
  if (isRoot) return { kind: 'unix', path: '/run/copse/nbd.sock' };
  const runtimeDir = env['XDG_RUNTIME_DIR'];
  return { kind: 'unix', path: runtimeDir ? join(runtimeDir, 'copse', 'nbd.sock') : join(stateDir, 'nbd.sock') };
}

/**
 * The socket in the state directory. Daemon and commands agree on it if they are given the same
 * directory.
 */
export function defaultAdmin(stateDir: string): SocketAddress {
  return { kind: 'unix', path: join(stateDir, 'admin.sock') };
}

/**
 * Checks a default address, which may be too long for a socket below a long state directory.
 *
 * @param flag the flag that chooses another address
 * @throws CopseError `ERR_CONFIG`
 */
export function checkedDefault(flag: string, address: SocketAddress): SocketAddress {
  try {
    return absoluteAddress(address, '/');
  } catch (error) {
    throw new CopseError('ERR_CONFIG', `${errorMessage(error)}, or give another address by ${flag}`, { cause: error });
  }
}
