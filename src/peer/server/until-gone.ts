/**
 * Requests of other nodes to something that is being closed here. An error would be the end of a guest's request elsewhere, though this node only restarts; a lost connection is none, it is asked
 * again on the next one. So nothing is said until the connection ends.
 */
import { waitFor } from '../../base/deadline.js';
import { errorCode } from '../../base/error.js';

/** Longer than a server drains: by then every connection has ended. */
const maxMs = 4000;

/** Settles as `request` does; where that fails with `ERR_CLOSED`, only when who asks is gone, or after 4 s. */
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
