/**
 * One run of qemu-nbd: started over private exports, audited before it is used, ended with this
 * process at the latest.
 *
 * Invariant: `startQemuNbd` resolves only for a process that has nothing open but what it was
 * given.
 */

import { execa } from 'execa';
import { unwatchAbort, watchAbort } from '../../base/abort.js';
import { errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import { OriginError } from '../origin.js';
import { imageFileName, type OpenLayer } from './block-node.js';
import { auditDescriptors } from './descriptor-audit.js';
import { awaitGreeting } from './greeting.js';
import { qemuNbdCommand } from './program.js';

/** sun_path of unix(7), without the final zero. */
const maxSocketPathBytes = 107;
const killDelayMs = 2000;
const keptErrorChars = 4096;

export interface QemuNbdOptions {
  /** URL for error texts. */
  url: string;
  /** Layers of the image, topmost first. */
  layers: readonly OpenLayer[];
  /** Path of its socket, in a directory of its own, mode 0700. */
  socketPath: string;
  /** Directories in which programs are searched, in the form of `PATH`. */
  searchPath: string;
  log: Logger;
  /** Ends the start. It does not end the process once that runs. */
  signal: AbortSignal;
}

export interface QemuNbd {
  readonly pid: number;
  readonly socketPath: string;
  /** Resolves with the reason, in words, once the process is gone. Never rejects. */
  readonly ended: Promise<string>;
  /**
   * Sends SIGTERM, and SIGKILL after two seconds. Resolves once the process is gone. Idempotent.
   */
  close(): Promise<void>;
}

/**
 * @throws OriginError `ERR_FORMAT` if the program is missing, can't decode the image or has opened
 * something else; `ERR_ORIGIN_UNAVAILABLE` if it could not read the image, or died; the reason of
 * `signal` if that aborts
 */
export async function startQemuNbd(options: QemuNbdOptions): Promise<QemuNbd> {
  const { url, layers, socketPath, signal, log } = options;
  for (const path of [socketPath, ...layers.map(({ handle }) => handle.socketPath)]) {
    if (Buffer.byteLength(path) > maxSocketPathBytes) {
      throw new OriginError(
        'ERR_FORMAT',
        `${path}: longer than the ${maxSocketPathBytes} bytes of a unix socket's path: choose a shorter directory`,
      );
    }
  }
  const qemuArgs = ['--read-only', '--persistent', '--shared=0', `--socket=${socketPath}`, imageFileName(layers)];
  const command = await qemuNbdCommand(qemuArgs, options.searchPath);
  signal.throwIfAborted();
  const child = execa(command.program, command.args, {
    extendEnv: false,
    env: { LC_ALL: 'C' },
    cwd: '/',
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
    buffer: false,
    // A session of its own: signals of a terminal to this process's group (SIGINT, SIGHUP) do not
    // reach it.
    detached: true,
    reject: false,
    forceKillAfterDelay: killDelayMs,
  });
  let errorText = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errorText = (errorText + text).slice(-keptErrorChars);
  });
  let hasEnded = false;
  const stopWaiting = new AbortController();
  const ended = child.then((result) => {
    hasEnded = true;
    stopWaiting.abort();
    return errorText.trim() || result.shortMessage || 'it ended';
  });
  const process: QemuNbd = {
    pid: child.pid ?? 0,
    socketPath,
    ended,
    async close() {
      child.kill('SIGTERM');
      await ended;
    },
  };
  const onAbort = (): void => stopWaiting.abort(signal.reason);
  watchAbort(signal, onAbort);
  try {
    const probe = await awaitGreeting(socketPath, stopWaiting.signal);
    const exportPaths = layers.map(({ handle }) => handle.socketPath);
    const found = await auditDescriptors(process.pid, { listenPath: socketPath, exportPaths, privateNetwork: command.privateNetwork });
    probe.destroy();
    if (found.length > 0)
      throw new OriginError('ERR_FORMAT', `${url}: refused, qemu-nbd has opened for it ${found.slice(0, 4).join(', ')}`);
    signal.throwIfAborted();
    log.debug({ pid: process.pid, privateNetwork: command.privateNetwork }, 'qemu-nbd serves');
    return process;
  } catch (error) {
    if (hasEnded && !(error instanceof OriginError)) throw startError(url, await ended, error);
    child.kill('SIGKILL');
    await ended;
    throw error;
  } finally {
    unwatchAbort(signal, onAbort);
  }
}

/**
 * Only the text of qemu-nbd tells an image that it could not read from one that it could not
 * decode.
 */
function startError(url: string, reason: string, cause: unknown): OriginError {
  const text = reason
    .replace(/json:\{.*\}'?:?/s, '')
    .replace(/^qemu-nbd:\s*/, '')
    .replace(/\s+/g, ' ')
    .slice(0, 600);
  const isUnreadable = /Input\/output error|Failed to connect|Connection re|Broken pipe|not available|killed|Cannot allocate/i.test(text);
  const message = `${url}: qemu-nbd did not start: ${text === '' ? errorMessage(cause) : text}`;
  return new OriginError(isUnreadable ? 'ERR_ORIGIN_UNAVAILABLE' : 'ERR_FORMAT', message, { cause });
}
