/** Tells operators when this daemon can't tell its clients apart for longer than it runs. */
import type { StatusWarning } from '../../admin/schema-node.js';
import { canSeeProcesses } from '../../server/client-identity.js';

/** `undefined` where /proc shows other users' processes. */
export function clientsHidden(): StatusWarning | undefined {
  if (canSeeProcesses()) return undefined;
  return {
    code: 'ERR_CLIENTS_HIDDEN',
    message:
      '/proc hides the processes of other users, so this daemon knows its clients only while it runs: after a restart a disk that had a fence takes no writes until "copse disk take". Let it see them: ProtectProc=default in the unit, no hidepid for /proc',
  };
}
