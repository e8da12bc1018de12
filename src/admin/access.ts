/** Refuses an admin API that would make every user of the host root. */
import { CopseError } from '../base/error.js';
import type { Secret } from '../base/secret.js';
import { formatAddress, type SocketAddress } from '../config/address.js';

/**
 * Checks the addresses of the admin API before the daemon listens.
 *
 * Every user of a host can connect to its TCP ports. An admin API of a daemon that runs as root
 * would give each of them the rights of root, unless it asks for a token.
 *
 * @throws CopseError `ERR_ADMIN_TOKEN`
 */
export function checkAdminAccess(
  addresses: readonly SocketAddress[],
  { token, isRoot }: { token: Secret | undefined; isRoot: boolean },
): void {
  const open = addresses.find(({ kind }) => kind === 'tcp');
  if (open === undefined || token !== undefined || !isRoot) return;
  throw new CopseError(
    'ERR_ADMIN_TOKEN',
    `admin API: every user of this host can connect to ${formatAddress(open)}, and this daemon runs as root: give --admin-token-file FILE, use the unix socket, or run copse as a user of its own`,
  );
}
