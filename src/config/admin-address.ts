/**
 * Where the daemon that a command means listens for commands, and with which token it is asked there.
 *
 * Invariant: given the same state directory and file, the address is the first one that `loadConfig` gives the daemon. The schema is
 * loaded only when there is a file to read, so that commands start fast.
 */
import { resolve } from 'node:path';
import type { Secret } from '../base/secret.js';
import { absoluteAddress, parseAddress, type SocketAddress } from './address.js';
import { readAdminToken } from './admin-token.js';
import { checkedDefault, currentSurroundings, defaultAdmin, defaultStateDir, type Surroundings } from './place.js';

export interface DaemonChoice {
  /** `unix:PATH` or `tcp:HOST:PORT`. */
  admin?: string | undefined;
  /** A file whose first line is the token for an address on TCP. */
  tokenFile?: string | undefined;
  stateDir?: string | undefined;
  /** The daemon's TOML file. */
  file?: string | undefined;
}

export interface ChosenDaemon {
  address: SocketAddress;
  /** Of an address on TCP, where one is known. */
  token: Secret | undefined;
}

/**
 * The address is the first of: `admin`; what `stateDir` and `file` say; `COPSE_ADMIN`; the default state directory's. The token's file is
 * the first of: `tokenFile`; what `file` says; `COPSE_ADMIN_TOKEN_FILE`.
 *
 * @throws CopseError `ERR_ADDRESS`, `ERR_CONFIG`
 */
export async function chooseDaemon(choice: DaemonChoice, surroundings: Surroundings = currentSurroundings()): Promise<ChosenDaemon> {
  const explicit = choice.admin === undefined ? undefined : absoluteAddress(parseAddress(choice.admin), process.cwd());
  if (explicit?.kind === 'unix') return { address: explicit, token: undefined };
  const written = choice.file === undefined ? {} : (await (await import('./read.js')).readConfigFile(choice.file)).config;
  const address = explicit ?? (await addressOf(choice, written, surroundings));
  if (address.kind === 'unix') return { address, token: undefined };
  const tokenFile = choice.tokenFile ?? written.admin_token_file ?? (surroundings.env['COPSE_ADMIN_TOKEN_FILE'] || undefined);
  return { address, token: tokenFile === undefined ? undefined : await readAdminToken(resolve(tokenFile)) };
}

type Written = Awaited<ReturnType<typeof import('./read.js').readConfigFile>>['config'];

async function addressOf({ stateDir, file }: DaemonChoice, written: Written, surroundings: Surroundings): Promise<SocketAddress> {
  const fromEnvironment = surroundings.env['COPSE_ADMIN'];
  if (stateDir === undefined && file === undefined && fromEnvironment) return absoluteAddress(parseAddress(fromEnvironment), process.cwd());
  const chosenDir = stateDir === undefined ? (written.state ?? defaultStateDir(surroundings)) : resolve(stateDir);
  if (file === undefined) return checkedDefault('--admin', defaultAdmin(chosenDir));
  const [first] = (await import('./access.js')).adminAddressesOf(written, chosenDir);
  return first ?? checkedDefault('--admin', defaultAdmin(chosenDir));
}
