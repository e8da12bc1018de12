/**
 * Where the daemon that a command means listens for commands.
 *
 * Invariant: given the same state directory and file, it is the address that `loadConfig` gives the daemon. The schema is loaded only
 * when there is a file to read, so that commands start fast.
 */
import { resolve } from 'node:path';
import { absoluteAddress, parseAddress, type SocketAddress } from './address.js';
import { checkedDefault, currentSurroundings, defaultAdmin, defaultStateDir, type Surroundings } from './place.js';

export interface DaemonChoice {
  /** `unix:PATH` or `tcp:HOST:PORT`. */
  admin?: string | undefined;
  stateDir?: string | undefined;
  /** The daemon's TOML file. */
  file?: string | undefined;
}

/**
 * The first of: `admin`; what `stateDir` and `file` say; `COPSE_ADMIN`; the default state directory's.
 *
 * @throws CopseError `ERR_ADDRESS`, `ERR_CONFIG`
 */
export async function chooseAdminAddress(choice: DaemonChoice, surroundings: Surroundings = currentSurroundings()): Promise<SocketAddress> {
  const { admin, stateDir, file } = choice;
  if (admin !== undefined) return absoluteAddress(parseAddress(admin), process.cwd());
  const written = file === undefined ? {} : (await (await import('./read.js')).readConfigFile(file)).config;
  if (written.admin !== undefined) return written.admin;
  const fromEnvironment = surroundings.env['COPSE_ADMIN'];
  if (stateDir === undefined && file === undefined && fromEnvironment) return absoluteAddress(parseAddress(fromEnvironment), process.cwd());
  const chosenDir = stateDir === undefined ? (written.state ?? defaultStateDir(surroundings)) : resolve(stateDir);
  return checkedDefault('--admin', defaultAdmin(chosenDir));
}
