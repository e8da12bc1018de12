/** Operations on a daemon itself and its host. */
import type { JobOptions } from '../base/job.js';
import type { DaemonStatus, DrainResult, Explanation } from './schema-node.js';

export interface NodeControl {
  status(): Promise<DaemonStatus>;
  /** Counters in Prometheus' text format. */
  metrics(): Promise<string>;
  /**
   * Tells where the bytes of an image or a disk came from, and concludes from that. Works on a
   * single host, too.
   *
   * @throws CopseError `ERR_NO_SUCH_IMAGE`
   */
  explain(exportName: string): Promise<Explanation>;
  /**
   * Moves the disks and the cluster's last copies to other nodes. The node is no home from then on,
   * until `undrain`. A job that ends early leaves the node draining: ask again.
   *
   * @throws CopseError `ERR_NOT_CLUSTERED`
   */
  drain(options: JobOptions): Promise<DrainResult>;
  /** Ends draining. Idempotent. @throws CopseError `ERR_NOT_CLUSTERED` */
  undrain(): Promise<void>;
}
