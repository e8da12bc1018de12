/**
 * Withholds errors while a device is being closed. An error reply would fail a guest's request on
 * the other node, although this node is only restarting. After a lost connection the other node
 * repeats the request. So the request gets no reply, and the connection ends.
 */
import { waitFor } from '../../base/deadline.js';
import { errorCode } from '../../base/error.js';

/** Bound on the wait, in ms. A server drains for less, and then has ended every connection. */
const maxMs = 4000;

/**
 * Settles as `request` does. A failure with `ERR_CLOSED` is held back until `signal` aborts because
 * the asking node is gone, at most 4 s.
 */
export async function untilGone<T>(request: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  try {
    return await request;
  } catch (error) {
    if (errorCode(error) !== 'ERR_CLOSED' || signal === undefined) throw error;
    const never = new Promise<never>(() => {});
    return waitFor('what is closed here', never, { signal, timeoutMs: maxMs }).catch(() => {
      throw error;
    });
  }
}
