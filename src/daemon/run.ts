/** The daemon as a process: the ready line, signals, and the exit code. */
import { errorCode, errorMessage } from '../base/error.js';
import { createLogger } from '../base/log.js';
import { formatAddress } from '../config/address.js';
import type { Config } from '../config/schema.js';
import { startDaemon } from './daemon.js';
import { notify } from './systemd.js';

/**
 * Serves until SIGTERM or SIGINT; a second signal ends the process at once.
 *
 * Prints one line that begins with `copse: ready` on standard output once everything listens, and tells systemd.
 *
 * @returns the process's exit code
 * @throws CopseError when it can't start
 */
export async function runDaemon(config: Config): Promise<number> {
  const log = createLogger(config.logLevel);
  process.on('unhandledRejection', (error) => {
    // A guest's disk must outlive a mistake in the bookkeeping around it.
    log.error(
      { code: errorCode(error), reason: errorMessage(error), stack: error instanceof Error ? error.stack : undefined },
      'unhandled rejection',
    );
  });
  const daemon = await startDaemon(config, log);
  const signal = new Promise<NodeJS.Signals>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, resolve);
  });
  process.stdout.write(`copse: ready ${daemon.uris.join(' ')} admin ${formatAddress(daemon.adminAddress)}\n`);
  notify('READY=1', log);
  log.info({ signal: await signal }, 'stopping');
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => process.exit(1));
  notify('STOPPING=1', log);
  await daemon.stop();
  return 0;
}
