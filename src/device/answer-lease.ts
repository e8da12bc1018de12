/**
 * Permission to answer for a device. It ends by itself when this process does not run for a while.
 *
 * A disk that other nodes can take over has a lease (`disk/lease/lease.ts`). Native threads look at
 * the same word of memory (`native/core/fast/answer_lease.h`).
 *
 * Invariant: no reply leaves while the lease that it was answered under is not valid.
 */

import type { RequestOptions } from '../block/read-options.js';
export interface AnswerLease {
  /** True if this node may answer at this moment. Costs some 100 ns. */
  isValid(): boolean;
  /**
   * Resolves to true once the node may answer under the lease, to false when the lease is lost for
   * good.
   *
   * @throws `ERR_DEADLINE`, `ERR_ABORTED`
   */
  settled(options?: RequestOptions): Promise<boolean>;
}
