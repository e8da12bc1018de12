/** Who may ask a daemon that runs as root. */
import { CopseError } from '../base/error.js';
import type { Secret } from '../base/secret.js';
import { formatAddress, type SocketAddress } from '../config/address.js';

/**
 * Every user of a host reaches its TCP ports. Through the admin API of a daemon that runs as root each of them would be root.
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
    `admin API: every user of this host reaches ${formatAddress(open)}, and would be root by this daemon: give --admin-token-file FILE, use the unix socket, or run copse as a user of its own`,
  );
}
