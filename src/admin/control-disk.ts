/** Operations on the disks of a daemon. */
import type { JobOptions, Progress } from '../base/job.js';
import type {
  DiskAcceptLossOptions,
  DiskCreateRequest,
  DiskStatus,
  DiskTakeOptions,
  DiskTakeResult,
  MigrateResult,
  PromoteResult,
} from './schema-disk.js';

export interface PromoteOptions extends JobOptions {
  /** Absolute path of the image's file; absent: in the state directory. */
  path?: string | undefined;
}

/** Each method but `create` and `list` throws `ERR_NO_SUCH_DISK` for an unknown name. */
export interface DiskControl {
  create(request: DiskCreateRequest): Promise<DiskStatus>;
  /** This node's disks and those of other nodes of the cluster, sorted by name. */
  list(): Promise<DiskStatus[]>;
  status(name: string): Promise<DiskStatus>;
  /**
   * Grows a disk without clients: NBD can't tell clients of a new size. @throws CopseError
   * `ERR_SIZE` if it would shrink
   */
  resize(name: string, sizeBytes: number): Promise<DiskStatus>;
  /** Renames a disk without clients: they would not find it again. */
  rename(name: string, newName: string): Promise<DiskStatus>;
  /** Removes the disk with its snapshots. */
  remove(name: string): Promise<void>;
  /**
   * Makes a snapshot: by reflink where the file system can, else by a sparse copy, which refuses
   * while clients are attached.
   */
  snapshot(name: string, snapshot: string, options: JobOptions): Promise<Progress>;
  /** Brings a disk without clients back to a snapshot, which stays. */
  revert(name: string, snapshot: string, options: JobOptions): Promise<Progress>;
  removeSnapshot(name: string, snapshot: string): Promise<DiskStatus>;
  /** Writes the disk as a raw file with a manifest, and adds that as an image. */
  promote(name: string, image: string, options: PromoteOptions): Promise<PromoteResult>;
  /**
   * Makes this node the owner, and lifts all fences. Without `force` the owner hands the disk over.
   *
   * With `force` the owner counts as lost for good. Without `acceptLoss` that rejects with
   * `ERR_DISK_LOSS`, whose message says which blocks are lost.
   */
  take(name: string, options: DiskTakeOptions): Promise<DiskTakeResult>;
  /**
   * Lets flushes of a disk that lost data succeed again. Data that can still be read are made
   * durable first. Without `confirmed` that rejects with `ERR_DISK_LOSS`, whose message says which
   * writes may be lost.
   */
  acceptLoss(name: string, options: DiskAcceptLossOptions): Promise<DiskStatus>;
  /**
   * Copies the overlay ahead to another node, and hands the disk over when no client is attached.
   */
  migrate(name: string, to: string, options: JobOptions): Promise<MigrateResult>;
}
