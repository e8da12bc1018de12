/**
 * Waits until an NBD server that was just started greets. From then on its export is open.
 *
 * The appearance of the socket is an event of its directory. Between bind and listen a connect is
 * refused, and tried again.
 */

import { watch } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { basename, dirname } from 'node:path';
import { unwatchAbort, watchAbort } from '../../base/abort.js';
import { errorCode } from '../../base/error.js';

const retryDelayMs = 10;
/** "NBDMAGIC" opens both negotiations of the NBD specification. */
const greeting = 'NBDMAGIC';

/**
 * @returns the greeted connection; the caller owns it
 * @throws the reason of `signal` if it aborts
 */
export async function awaitGreeting(socketPath: string, signal: AbortSignal): Promise<Socket> {
  let wake: () => void = () => undefined;
  const watcher = watch(dirname(socketPath), (_event, name) => {
    if (name === basename(socketPath)) wake();
  });
  const onAbort = (): void => wake();
  watchAbort(signal, onAbort);
  try {
    for (;;) {
      signal.throwIfAborted();
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const outcome = await greeted(socketPath, signal);
      if (typeof outcome !== 'string') return outcome;
      // Refused or cut off: the server is between two states, and no event tells them apart.
      const timer = outcome === 'ENOENT' ? undefined : setTimeout(() => wake(), retryDelayMs);
      if (!signal.aborted) await woken;
      clearTimeout(timer);
    }
  } finally {
    unwatchAbort(signal, onAbort);
    watcher.close();
  }
}

/** Resolves to the connection, or to the code of the failure. */
function greeted(socketPath: string, signal: AbortSignal): Promise<Socket | string> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    const end = (outcome: Socket | string): void => {
      unwatchAbort(signal, onAbort);
      socket.removeAllListeners();
      socket.on('error', () => undefined);
      if (typeof outcome === 'string') socket.destroy();
      resolve(outcome);
    };
    const onAbort = (): void => end('ERR_ABORTED');
    watchAbort(signal, onAbort);
    let received = '';
    socket.on('data', (piece) => {
      received += piece.toString('latin1');
      if (received.length >= greeting.length) end(received.startsWith(greeting) ? socket : 'ERR_NBD_PROTOCOL');
    });
    socket.on('error', (error) => end(errorCode(error)));
    socket.on('close', () => end('ECONNRESET'));
  });
}
