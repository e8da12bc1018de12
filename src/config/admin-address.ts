/**
 * Address and token by which a command reaches its daemon.
 *
 * Invariant: given the same state directory and file, the address is the first that `loadConfig`
 * gives the daemon. The schema is loaded only if there is a file to read, so that commands start
 * fast.
 */
import { resolve } from 'node:path';
import type { Secret } from '../base/secret.js';
import { absoluteAddress, parseAddress, type SocketAddress } from './address.js';
import { readAdminToken } from './admin-token.js';
import { checkedDefault, currentSurroundings, defaultAdmin, defaultStateDir, type Surroundings } from './place.js';

export interface DaemonChoice {
  /** `unix:PATH` or `tcp:HOST:PORT`. */
  admin?: string | undefined;
  /** File whose first line is the token for an address on TCP. */
  tokenFile?: string | undefined;
  stateDir?: string | undefined;
  /** The daemon's TOML file. */
  file?: string | undefined;
}

export interface ChosenDaemon {
  address: SocketAddress;
  /** Token for an address on TCP, if one is known. */
  token: Secret | undefined;
}

/**
 * Chooses the first address of: `admin`; the one by `stateDir` and `file`; `COPSE_ADMIN`; the
 * default state directory's. The file of the token is the first of: `tokenFile`; the one in `file`;
 * `COPSE_ADMIN_TOKEN_FILE`.
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
