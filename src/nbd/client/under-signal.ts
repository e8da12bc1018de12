/** Waits for a reply as long as the caller does. */
import { unwatchAbort, watchAbort } from '../../base/abort.js';
import { AbortedError } from '../../base/error.js';
import type { Exchange } from './exchange.js';

/**
 * Resolves with the exchange when its reply is complete and good. Rejects with `ERR_ABORTED` once
 * the signal is aborted.
 *
 * @param sent resolves when the socket has passed the request on; the payload is the caller's again
 * only then
 */
export async function underSignal(exchange: Exchange, sent: Promise<void>, signal: AbortSignal): Promise<Exchange> {
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = (): void => {
      exchange.forget();
      const error = new AbortedError('NBD request', { cause: signal.reason });
      if (exchange.ask.payload === undefined) reject(error);
      else
        sent.then(
          () => reject(error),
          () => reject(error),
        );
    };
    if (signal.aborted) onAbort();
    else watchAbort(signal, onAbort);
  });
  try {
    await Promise.race([exchange.settled, aborted]);
    return exchange;
  } finally {
    if (onAbort !== undefined) unwatchAbort(signal, onAbort);
  }
}
