/**
 * Finds programs, and confines qemu-nbd: it gets the fewest privileges that this host can give it.
 */
import { access, constants } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import { execa } from 'execa';
import { OriginError } from '../origin.js';

/**
 * @param searchPath in the form of the environment variable `PATH`
 * @returns the absolute path; `undefined` if no directory has the program
 */
export async function findProgram(name: string, searchPath: string): Promise<string | undefined> {
  for (const directory of searchPath.split(delimiter).filter(isAbsolute)) {
    const path = join(directory, name);
    if (
      await access(path, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return path;
  }
  return undefined;
}

export interface Command {
  program: string;
  args: string[];
  /** True if qemu-nbd has an empty network of its own: it reaches unix sockets by path only. */
  privateNetwork: boolean;
}

/**
 * Puts the confinement in front of qemu-nbd's own arguments. The process dies with this one, can't
 * gain privileges, as root has no capabilities, writes no files and leaves no core. If the host
 * permits namespaces, it has no network. Each part execs the next: one process, one pid.
 *
 * @throws OriginError `ERR_FORMAT` if a program is missing, with its Debian package
 */
export async function qemuNbdCommand(qemuArgs: readonly string[], searchPath: string): Promise<Command> {
  const qemuNbd = await required('qemu-nbd', 'qemu-utils', searchPath);
  const setpriv = await required('setpriv', 'util-linux', searchPath);
  const prlimit = await required('prlimit', 'util-linux', searchPath);
  const network = await networkPrefix(searchPath);
  const capabilities = process.geteuid?.() === 0 ? ['--bounding-set=-all', '--inh-caps=-all'] : [];
  const [program, ...args] = [
    ...network,
    ...[setpriv, '--pdeathsig=KILL', '--no-new-privs', ...capabilities, '--'],
    ...[prlimit, '--core=0', '--fsize=0', '--nofile=256', '--'],
    qemuNbd,
    ...qemuArgs,
  ];
  return { program: program ?? setpriv, args, privateNetwork: network.length > 0 };
}

async function required(name: string, debianPackage: string, searchPath: string): Promise<string> {
  const path = await findProgram(name, searchPath);
  if (path !== undefined) return path;
  throw new OriginError(
    'ERR_FORMAT',
    `images that are not raw need the program ${name}, which is not in ${JSON.stringify(searchPath)}: install ${debianPackage} (apt-get install ${debianPackage})`,
  );
}

const networkPrefixes = new Map<string, Promise<string[]>>();

/**
 * A new network namespace, in a new user namespace if this process is not root. Empty if the host
 * permits neither. Tried once.
 */
function networkPrefix(searchPath: string): Promise<string[]> {
  const known = networkPrefixes.get(searchPath);
  if (known !== undefined) return known;
  const tried = tryNetworkPrefixes(searchPath);
  networkPrefixes.set(searchPath, tried);
  return tried;
}

async function tryNetworkPrefixes(searchPath: string): Promise<string[]> {
  const unshare = await findProgram('unshare', searchPath);
  const nothing = await findProgram('true', searchPath);
  if (unshare === undefined || nothing === undefined) return [];
  for (const flags of [['--net'], ['--user', '--map-current-user', '--net']]) {
    const { exitCode } = await execa(unshare, [...flags, '--', nothing], { reject: false, stdio: 'ignore', timeout: 5000 });
    if (exitCode === 0) return [unshare, ...flags, '--'];
  }
  return [];
}
