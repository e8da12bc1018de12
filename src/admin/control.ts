/**
 * What can be asked of a running daemon: the one interface between the admin API and the object graph that `src/daemon` builds.
 *
 * Errors are CopseErrors; the API turns their codes into HTTP statuses: `ERR_NO_SUCH_IMAGE` 404, `ERR_IMAGE_EXISTS` and `ERR_IMAGE_IN_USE` 409,
 * `ERR_NOT_CLUSTERED` 409, `ERR_SIZE`, `ERR_NAME`, `ERR_URL`, `ERR_OPTION`, `ERR_DIGEST` 400, errors of origins and manifests 502, `ERR_ETCD_UNAVAILABLE` 503, everything else 500.
 * What is asked of a cluster is in `control-cluster.ts`, what is asked about disks, with codes of its own, in `control-disk.ts`.
 */
import type { JobOptions, Progress } from '../base/job.js';
import type { SharePolicy } from '../config/schema.js';
import type { OriginIdentity } from '../origin/origin.js';
import type { ClusterImageStatus, ClusterMoveResult, ClusterStatus, DrainResult, Explanation, IdentityGuard } from './control-cluster.js';
import type { DiskControl } from './control-disk.js';

export type * from './control-cluster.js';
export type * from './control-disk.js';

export interface ImageAddRequest {
  /** The export's name: 1 to 255 characters of `A-Z a-z 0-9 . _ -` and `/`, not beginning with a dot, slash or dash. */
  name: string;
  url: string;
  /** `raw`, or a format of qemu-nbd; detected by content when absent. */
  format?: string | undefined;
  /** A power of two from 64 KiB to 1 MiB; the daemon's default when absent. */
  chunkSizeBytes?: number | undefined;
  /** Deadline of a guest's request in milliseconds; 0 waits for ever; the daemon's default when absent. */
  deadlineMs?: number | undefined;
  /** Backing files of a foreign format that the operator allows: name as written in the image, and the image (in this catalog) that stands for it. */
  backing?: Record<string, string> | undefined;
  /** URL or absolute path of the manifest that every chunk is verified against; only together with `digest`. */
  manifest?: string | undefined;
  /** `blake3:` and 64 hexadecimal digits: the manifest's own digest. */
  digest?: string | undefined;
  /** Whether the cluster shares its chunks; `auto` when absent: where its identity is strong. */
  share?: SharePolicy | undefined;
  /** Reads all allocation tables of a foreign format, however large, to tell whether the file is whole. */
  deep?: boolean | undefined;
}

export type OriginHealth = 'unused' | 'ok' | 'unavailable' | 'changed';

export interface ImageStatus {
  name: string;
  url: string;
  format: string;
  sizeBytes: number;
  chunkSizeBytes: number;
  deadlineMs: number;
  identity: OriginIdentity;
  /** ISO 8601, when it was pinned. */
  pinnedAt: string;
  /** What every chunk is verified against; absent without a manifest. */
  manifest?: { url: string; digest: string } | undefined;
  /** As the operator chose. */
  share?: SharePolicy | undefined;
  /** What guards its bytes where they are shared. */
  guard?: IdentityGuard | undefined;
  /** Absent for `raw`. `whole`: the file has all bytes that its tables name. `unchecked`: its tables were too large to be read. */
  container?: 'whole' | 'unchecked' | undefined;
  origin: { health: OriginHealth /** What went wrong last, and what to do. */; message?: string | undefined };
  cache: {
    /** Bytes of the image that this host holds, chunks of zeros included. */
    cachedBytes: number;
    /** Bytes on this host's disk. */
    dataBytes: number;
    /** Bytes from before an unclean end, not yet verified. */
    unverifiedBytes: number;
  };
  connections: number;
}

export interface CacheStatus {
  budgetBytes: number;
  minFreeBytes: number;
  usedBytes: number;
  freeBytes: number;
  /** `ok`, or why nothing is being stored just now (disk full, I/O error): reads pass through. */
  state: 'ok' | 'full' | 'broken';
  message?: string | undefined;
}

/** What native threads answer, past JavaScript. */
export interface FastPathStatus {
  enabled: boolean;
  /** On it just now. */
  connections: number;
  /** Since the start, as are those below. */
  reads: number;
  /** Of the reads, those that had to wait for this host's disk. */
  coldReads: number;
  writes: number;
  /** Requests of its connections that JavaScript was left to answer. */
  handedUp: number;
}

/** Something about a running daemon that an operator has to put right. */
export interface StatusWarning {
  /** Stable, for programs: `ERR_CLIENTS_HIDDEN`, `ERR_NAME_CONFLICT`, `ERR_NAME`. */
  code: string;
  /** States the fault and its remedy. */
  message: string;
}

export interface DaemonStatus {
  version: string;
  pid: number;
  uptimeSeconds: number;
  stateDir: string;
  /** As NBD URIs, without export names. */
  listeners: string[];
  /** Where the admin API listens: `unix:PATH`, `tcp:HOST:PORT`. */
  adminListeners: string[];
  connections: number;
  fastPath: FastPathStatus;
  cache: CacheStatus;
  imageCount: number;
  residentBytes: number;
  /** Disks of this node that lost data or can't be written, a sentence each. `GET /healthz` answers 503 while there are any. */
  troubles: string[];
  /** Empty when all is well. */
  warnings: StatusWarning[];
}

/** Progress of a job: `doneBytes` of `totalBytes` are through. */
export interface WarmResult extends Progress {
  /** Bytes that had to come from the origin. */
  fetchedBytes: number;
}

export interface VerifyResult extends Progress {
  /** Bytes of chunks that did not match their checksums: dropped, to be fetched again. */
  droppedBytes: number;
}

export interface SealResult extends Progress {
  /** Absolute, on the daemon's host. */
  manifestPath: string;
  /** `blake3:` and 64 hexadecimal digits: the manifest's own. */
  digest: string;
}

export interface WarmOptions extends JobOptions {
  cluster?: boolean | undefined;
}

export interface Control extends DiskControl {
  status(): Promise<DaemonStatus>;
  /** Sorted by name. */
  listImages(): Promise<ImageStatus[]>;
  imageStatus(name: string): Promise<ImageStatus>;
  /** Pins the origin's present content and serves it under the name. Idempotent for equal requests; one that differs in the deadline alone changes that. */
  addImage(request: ImageAddRequest): Promise<ImageStatus>;
  /** Refuses with `ERR_IMAGE_IN_USE` while clients are attached, or another image is built on it. Disks over it go on. */
  renameImage(name: string, newName: string): Promise<ImageStatus>;
  /** Refuses with `ERR_IMAGE_IN_USE` while clients are attached. Its cached chunks go with it when no other image shares them. */
  removeImage(name: string): Promise<void>;
  /** Moves the name to the origin's present content. Attached exports keep the old one. */
  repinImage(name: string): Promise<ImageStatus>;
  /** Fetches what is absent: on this host, or with `cluster` once in the whole cluster, spread over its homes. @throws `ERR_NOT_CLUSTERED` */
  warmImage(name: string, options: WarmOptions): Promise<WarmResult>;
  /** Reads what is cached and compares checksums. */
  verifyImage(name: string, options: JobOptions): Promise<VerifyResult>;
  /** Reads the whole image and writes its manifest. */
  sealImage(name: string, options: JobOptions): Promise<SealResult>;
  /** Where the bytes of an export came from, and what that says of its speed. On a single host too. */
  explain(exportName: string): Promise<Explanation>;
  /** On a single host, `enabled` is false and there are no members. */
  clusterStatus(): Promise<ClusterStatus>;
  /** @param name of a cluster, or `auto` to choose anew by measurement. @throws `ERR_NOT_CLUSTERED`, `ERR_NAME`, `ERR_OPTION` (auto without etcd), `ERR_ETCD_UNAVAILABLE` */
  moveCluster(name: string): Promise<ClusterMoveResult>;
  /** @throws `ERR_NOT_CLUSTERED`, `ERR_NO_SUCH_IMAGE` */
  clusterImageStatus(name: string): Promise<ClusterImageStatus>;
  /** Hands the cluster's last copies on; the node is no home from then on until `undrainNode`. Ended early it goes on draining: ask again. @throws `ERR_NOT_CLUSTERED` */
  drainNode(options: JobOptions): Promise<DrainResult>;
  /** Idempotent. @throws `ERR_NOT_CLUSTERED` */
  undrainNode(): Promise<void>;
  /** Prometheus text format. */
  metrics(): Promise<string>;
}
