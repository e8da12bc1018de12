/** Options by which a command chooses its daemon, and the connection to it. */
import type { Command } from 'commander';
import type { Control } from '../admin/control.js';
import { chooseDaemon } from '../config/admin-address.js';

/** Options of all commands that ask a daemon. */
export interface DaemonOptions {
  admin?: string;
  adminTokenFile?: string;
  state?: string;
  config?: string;
  json?: boolean;
}

export function addDaemonOptions(command: Command): Command {
  return command
    .option('--admin <address>', 'daemon to ask: unix:PATH or tcp:HOST:PORT (default: $COPSE_ADMIN, else STATE/admin.sock)')
    .option('--admin-token-file <file>', 'file with the token for an address on TCP (default: $COPSE_ADMIN_TOKEN_FILE)')
    .option('--state <dir>', 'state directory of the daemon to ask')
    .option('--config <file>', 'configuration of the daemon to ask')
    .option('--json', 'print JSON');
}

/** Runs `action` with the daemon that the options choose. Errors of `Control` pass. */
export async function withDaemon<T>(options: DaemonOptions, action: (control: Control) => Promise<T>): Promise<T> {
  const { admin, adminTokenFile: tokenFile, state: stateDir, config: file } = options;
  const { address, token } = await chooseDaemon({ admin, tokenFile, stateDir, file });
  const { AdminClient } = await import('../admin/client.js');
  const client = new AdminClient(address, token);
  try {
    return await action(client);
  } finally {
    await client.close();
  }
}
