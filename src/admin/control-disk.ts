/**
 * What can be asked of a daemon about disks.
 *
 * Codes: `ERR_NO_SUCH_DISK` 404; `ERR_DISK_EXISTS`, `ERR_DISK_IN_USE`, `ERR_NOT_OWNER`, `ERR_DISK_INCOMPLETE` (blocks are still on another node), `ERR_OWNER_UNREACHABLE` 409; `ERR_NO_SUCH_SNAPSHOT` 404, `ERR_SNAPSHOT_EXISTS` 409; `ENOSPC` 507;
 * `ERR_DISK_LOSS` 409 (a loss was not said to be accepted: take by force, or data that a failed sync lost); `ERR_DATA_LOST` 409 (a disk that lost data can't be flushed).
 */

import type { JobOptions, Progress } from '../base/job.js';
export interface DiskCreateRequest {
  /** As an image's name; images and disks share the names of exports. */
  name: string;
  /** Absent: blank. */
  image?: string | undefined;
  /** Default: the image's. Rounded up to 4096; at least the image's. */
  sizeBytes?: number | undefined;
  handover?: 'auto' | 'explicit' | undefined;
  multiConn?: boolean | undefined;
  /** Of a guest's request in milliseconds, 0 for ever; the daemon's default when absent. */
  deadlineMs?: number | undefined;
}

export interface SnapshotStatus {
  name: string;
  /** ISO 8601 */
  createdAt: string;
  sizeBytes: number;
  dataBytes: number;
}

/**
 * - `owner`: this node has it.
 * - `elsewhere`: another node does, and answers; a client that attaches here reads through it.
 * - `unreachable`: another node does, and does not answer.
 * - `granted`: this node has handed it over and the other has not confirmed yet.
 */
export type DiskPlace = 'owner' | 'elsewhere' | 'unreachable' | 'granted';

export interface DiskLossStatus {
  /** Time of the failed sync; absent where the mark has no text. */
  at?: string | undefined;
  /** Time at which the process of that time had opened the disk. */
  openedAt?: string | undefined;
  /** Start of the last flush that succeeded then; absent: none did. */
  lastSyncAt?: string | undefined;
  /** Code of the failed sync. */
  error?: string | undefined;
  /** False: it could not be written down beside the disk. */
  isMarked: boolean;
}

export interface DiskStatus {
  name: string;
  uuid: string;
  sizeBytes: number;
  /** The image's name as it was when the disk was created. */
  image?: string | undefined;
  createdAt: string;
  place: DiskPlace;
  /** Node id; the node that was asked itself where `place` is `owner`. */
  owner: string;
  epoch: number;
  handover: 'auto' | 'explicit';
  multiConn: boolean;
  /** Clients attached at the node that was asked. */
  connections: number;
  /** Nodes that are attached for their clients. */
  remoteConnections: string[];
  /** Present where the owner was asked, or has answered. */
  overlay?:
    | {
        dataBytes: number;
        zeroBytes: number;
        /** On this host's disk. */
        allocatedBytes: number;
      }
    | undefined;
  /** Blocks that are still on nodes that owned it before. */
  toCome: { node: string; bytes: number; reachable: boolean }[];
  /** Copies that are made ahead of a handover. */
  replica?: { node: string; behindBytes: number } | undefined;
  snapshots: SnapshotStatus[];
  /** Clients that were displaced; they stay so until `take`. */
  fences: { client: string; by: string; at: string }[];
  /** Data that a failed sync lost on this node, times in ISO 8601; no flush succeeds before that is accepted. */
  loss?: DiskLossStatus | undefined;
  /** What is in the way, and what to do. */
  message?: string | undefined;
}

export interface DiskTakeResult extends DiskStatus {
  /** Took over from; absent when this node had it already. */
  from?: string | undefined;
}

export interface PromoteResult extends Progress {
  image: string;
  /** Absolute, on the daemon's host. */
  path: string;
  manifestPath: string;
  digest: string;
}

export interface MigrateResult extends Progress {
  /** It owns the disk now; otherwise the handover waits for the client: the next write there, or the end of the last connection here. */
  handedOver: boolean;
  message: string;
}

export interface DiskControl {
  createDisk(request: DiskCreateRequest): Promise<DiskStatus>;
  /** Sorted by name: this node's, and those that other nodes of the cluster own. */
  listDisks(): Promise<DiskStatus[]>;
  diskStatus(name: string): Promise<DiskStatus>;
  /** Grows it. Refuses while clients are attached: NBD can't tell them. @throws `ERR_SIZE` when it would shrink */
  resizeDisk(name: string, sizeBytes: number): Promise<DiskStatus>;
  /** Gives it another name. Refuses while clients are attached: they would not find it again. */
  renameDisk(name: string, newName: string): Promise<DiskStatus>;
  /** Removes the disk with its snapshots. */
  removeDisk(name: string): Promise<void>;
  /** By reflink where the file system can; by a sparse copy otherwise, which refuses while clients are attached. */
  snapshotDisk(name: string, snapshot: string, options: JobOptions): Promise<Progress>;
  /** Back to a snapshot, which stays. Refuses while clients are attached. */
  revertDisk(name: string, snapshot: string, options: JobOptions): Promise<Progress>;
  removeSnapshot(name: string, snapshot: string): Promise<DiskStatus>;
  /** Writes the disk as a raw file with a manifest and adds that as an image. `path`: absolute; default in the state directory. */
  promoteDisk(name: string, image: string, options: JobOptions & { path?: string | undefined }): Promise<PromoteResult>;
  /**
   * Makes this node the owner, and lifts all fences. Without `force` the owner hands it over. With `force`, for an owner that is lost for good: `acceptLoss` has to be given, or it rejects with `ERR_DISK_LOSS`, whose message says which blocks are lost.
   */
  takeDisk(name: string, options: { force?: boolean | undefined; acceptLoss?: boolean | undefined }): Promise<DiskTakeResult>;
  /**
   * Ends the refusal of flushes of a disk that lost data. Data that can still be read are made durable first.
   * Without `confirmed` it rejects with `ERR_DISK_LOSS`, whose message says which writes may be lost.
   */
  acceptDiskLoss(name: string, options: { confirmed?: boolean | undefined }): Promise<DiskStatus>;
  /** Copies the overlay ahead to another node, and hands it over when no client is attached. */
  migrateDisk(name: string, to: string, options: JobOptions): Promise<MigrateResult>;
}
