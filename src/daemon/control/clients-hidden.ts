/** Warns of a daemon that can't recognize its clients after a restart. */
import type { StatusWarning } from '../../admin/schema-node.js';
import { canSeeProcesses } from '../../server/client-identity.js';

/** `undefined` if /proc shows the processes of other users. */
export function clientsHidden(): StatusWarning | undefined {
  if (canSeeProcesses()) return undefined;
  return {
    code: 'ERR_CLIENTS_HIDDEN',
    message:
      '/proc hides the processes of other users, so this daemon knows its clients only while it runs: after a restart a disk that had a fence takes no writes until "copse disk take". Show them to it: ProtectProc=default in the unit, no hidepid for /proc',
  };
}
