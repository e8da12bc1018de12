/** The NBD URI by which this process reaches an export of its daemon. */
import { access, constants } from 'node:fs/promises';
import { CopseError } from '../base/error.js';
import { exportUri } from './describe.js';

/**
 * Chooses a listener. Unix sockets that this user may use come first.
 *
 * @param listeners `listeners` of a `DaemonStatus`
 * @returns an NBD URI with the export's name
 * @throws CopseError `ERR_NO_LISTENER`
 */
export async function reachableUri(listeners: readonly string[], name: string): Promise<string> {
  for (const listener of listeners) {
    const socketPath = socketPathOf(listener);
    if (socketPath !== undefined && (await isUsable(socketPath))) return exportUri(listener, name);
  }
  const tcp = listeners.find((listener) => listener.startsWith('nbd://'));
  if (tcp !== undefined) return exportUri(tcp, name);
  throw new CopseError(
    'ERR_NO_LISTENER',
    `this process can reach none of the daemon's listeners (${listeners.join(', ') || 'there are none'}): run the command on the daemon's host, as a user with access to its socket`,
  );
}

function socketPathOf(listener: string): string | undefined {
  return listener.startsWith('nbd+unix:') ? (new URL(listener).searchParams.get('socket') ?? undefined) : undefined;
}

async function isUsable(path: string): Promise<boolean> {
  return access(path, constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
}
