/** Runs the daemon as a process, with the ready line, signals and the exit code. */
import { errorCode, errorMessage } from '../base/error.js';
import { createLogger } from '../base/log.js';
import { formatAddress } from '../config/address.js';
import type { Config } from '../config/schema.js';
import { startDaemon } from './daemon.js';
import { notify } from './systemd.js';

/**
 * Serves until SIGTERM or SIGINT. A second signal ends the process at once. SIGHUP, which a login
 * shell sends when it ends, has no effect.
 *
 * When all addresses listen, it prints one line that begins with `copse: ready` on standard output,
 * and notifies systemd.
 *
 * @returns the process's exit code
 * @throws CopseError if it can't start
 */
export async function runDaemon(config: Config): Promise<number> {
  const log = createLogger(config.logLevel);
  process.on('unhandledRejection', (error) => {
    // A mistake in the code around it must not end a guest's disk.
    log.error(
      { code: errorCode(error), reason: errorMessage(error), stack: error instanceof Error ? error.stack : undefined },
      'unhandled rejection',
    );
  });
  // Signals are handled before the start, which would else leave sockets behind when it is cut off.
  const signal = awaitSignal();
  process.on('SIGHUP', () => log.info('SIGHUP changes nothing: restart the daemon to read the configuration again'));
  const daemon = await startDaemon(config, log);
  process.stdout.write(`copse: ready ${daemon.uris.join(' ')} admin ${daemon.adminAddresses.map(formatAddress).join(' ')}\n`);
  notify('READY=1', log);
  log.info({ signal: await signal }, 'stopping');
  notify('STOPPING=1', log);
  await daemon.stop();
  return 0;
}

/**
 * Resolves with the first signal to stop. The second signal ends the process at once.
 *
 * The listeners stay. Libraries that clean up after child processes, as signal-exit does, end the
 * process if they find no other listener.
 */
function awaitSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let count = 0;
    const onSignal = (name: NodeJS.Signals): void => {
      count += 1;
      if (count > 1) process.exit(1);
      resolve(name);
    };
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, onSignal);
  });
}
