/**
 * The interface to systemd: passed sockets (sd_listen_fds(3)) and the state of the service
 * (sd_notify(3)).
 *
 * Outside systemd both have no effect.
 */
import { errorMessage } from '../base/error.js';
import type { Logger } from '../base/log.js';
import { native } from '../base/native/loader.js';

const firstDescriptor = 3;

/** Descriptors of listening sockets that systemd opened for this process. */
export function passedDescriptors(env: NodeJS.ProcessEnv = process.env): number[] {
  if (env['LISTEN_PID'] !== String(process.pid)) return [];
  const count = Number(env['LISTEN_FDS']);
  return Number.isInteger(count) && count > 0 ? Array.from({ length: count }, (_, index) => firstDescriptor + index) : [];
}

/** Tells systemd the state of the service, for example `READY=1`. */
export function notify(state: string, log: Logger, env: NodeJS.ProcessEnv = process.env): void {
  const path = env['NOTIFY_SOCKET'];
  if (path === undefined || path === '') return;
  try {
    native.sendDatagram(path, state);
  } catch (error) {
    log.warn({ socket: path, reason: errorMessage(error) }, 'systemd could not be told');
  }
}
