/** Where things lie and how a node is called by default: it depends on who runs the program, and where. */
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { CopseError, errorMessage } from '../base/error.js';
import { absoluteAddress, type SocketAddress } from './address.js';

/** Environment variables, user and host that choose the defaults. */
export interface Surroundings {
  env: Readonly<Record<string, string | undefined>>;
  isRoot: boolean;
  hostName: string;
}

export function currentSurroundings(): Surroundings {
  return { env: process.env, isRoot: process.getuid?.() === 0, hostName: hostname() };
}

/** The host's name, with what can't be in a node's id taken out of it. */
export function defaultNodeId({ hostName }: Surroundings): string {
  const id = hostName
    .replaceAll(/[^A-Za-z0-9._-]/g, '-')
    .replace(/^[._-]+/, '')
    .slice(0, 63);
  return id === '' ? 'node' : id;
}

/** `/var/lib/copse` for root; else `$XDG_STATE_HOME/copse` or `~/.local/state/copse` (XDG Base Directory Specification 0.8). */
export function defaultStateDir({ env, isRoot }: Surroundings): string {
  if (isRoot) return '/var/lib/copse';
  return join(env['XDG_STATE_HOME'] || join(env['HOME'] || homedir(), '.local', 'state'), 'copse');
}

/** `/run/copse/nbd.sock` for root; else below `$XDG_RUNTIME_DIR`, or in the state directory where there is none. */
export function defaultListen({ env, isRoot }: Surroundings, stateDir: string): SocketAddress {
  if (isRoot) return { kind: 'unix', path: '/run/copse/nbd.sock' };
  const runtimeDir = env['XDG_RUNTIME_DIR'];
  return { kind: 'unix', path: runtimeDir ? join(runtimeDir, 'copse', 'nbd.sock') : join(stateDir, 'nbd.sock') };
}

/** In the state directory, so that daemon and commands agree when they are told the same one. */
export function defaultAdmin(stateDir: string): SocketAddress {
  return { kind: 'unix', path: join(stateDir, 'admin.sock') };
}

/**
 * A default below a long state directory may be too long for a socket.
 *
 * @param flag what chooses another address
 * @throws CopseError `ERR_CONFIG`
 */
export function checkedDefault(flag: string, address: SocketAddress): SocketAddress {
  try {
    return absoluteAddress(address, '/');
  } catch (error) {
    throw new CopseError('ERR_CONFIG', `${errorMessage(error)}, or give another address by ${flag}`, { cause: error });
  }
}
