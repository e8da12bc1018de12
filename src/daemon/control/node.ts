/** What the admin API may ask of this node, answered from the object graph. */

import type {
  CacheStatus,
  ClusterImageStatus,
  ClusterMoveResult,
  ClusterStatus,
  Control,
  DaemonStatus,
  DiskControl,
  DiskCreateRequest,
  DiskStatus,
  DiskTakeResult,
  DrainResult,
  Explanation,
  FastPathStatus,
  ImageAddRequest,
  ImageStatus,
  MigrateResult,
  PromoteResult,
  SealResult,
  StatusWarning,
  VerifyResult,
  WarmOptions,
  WarmResult,
} from '../../admin/control.js';
import { systemClock } from '../../base/clock.js';
import { displayUrl } from '../../base/display-url.js';
import { CopseError } from '../../base/error.js';
import type { JobOptions, Progress } from '../../base/job.js';
import type { Logger } from '../../base/log.js';
import { Slice } from '../../base/slice.js';
import { version } from '../../base/version.js';
import type { CacheSpace } from '../../cache/evict/cache-space.js';
import { containerSpec } from '../../catalog/image-record.js';
import type { NodeConfig } from '../../config/schema.js';
import { drainDisks } from '../../disk/operate/drain.js';
import { diskTrouble } from '../../disk/operate/status.js';
import type { Content } from '../../image/content.js';
import type { ContentPool } from '../../image/content-pool.js';
import { verify, warm } from '../../image/job.js';
import type { ImageRegistry, ServedImage } from '../../image/registry.js';
import { sealContent } from '../../image/seal-content.js';
import type { ManifestStore } from '../../manifest/store.js';
import { foldLanes } from '../../server/export-metrics.js';
import type { Server } from '../../server/server.js';
import type { Cluster } from '../cluster/cluster.js';
import { clusterImageStatus, identityOf } from '../cluster/image-status.js';
import { clusterStatus } from '../cluster/status.js';
import { warmCluster } from '../cluster/warm.js';
import type { Disks } from '../disks.js';
import { renderMetrics } from '../metrics/metrics.js';
import { drain } from './drain.js';
import { explain } from './explain.js';

export interface NodeControlOptions {
  registry: ImageRegistry;
  disks: Disks;
  pool: ContentPool;
  space: CacheSpace;
  server: Server;
  /** Absent on a single host. */
  cluster: Cluster | undefined;
  manifestStore: ManifestStore;
  node: NodeConfig;
  stateDir: string;
  /** Addresses of the admin API. */
  adminListeners(): string[];
  fastPath: boolean;
  /** Faults that an operator has to put right, as they are now. */
  warnings(): StatusWarning[];
  log: Logger;
}

export class NodeControl implements Control {
  readonly #options: NodeControlOptions;
  readonly #disks: DiskControl;

  constructor(options: NodeControlOptions) {
    this.#options = options;
    this.#disks = options.disks.control;
  }

  async status(): Promise<DaemonStatus> {
    const { server, stateDir, registry } = this.#options;
    return {
      version,
      pid: process.pid,
      uptimeSeconds: Math.round(process.uptime()),
      stateDir,
      listeners: server.uris,
      adminListeners: this.#options.adminListeners(),
      connections: server.connectionCount,
      fastPath: await this.#fastPathStatus(),
      cache: await this.#cacheStatus(),
      imageCount: registry.images.length,
      residentBytes: process.memoryUsage.rss(),
      troubles: this.#options.disks.registry.exports.flatMap((disk) => diskTrouble(disk)),
      warnings: this.#options.warnings(),
    };
  }

  async listImages(): Promise<ImageStatus[]> {
    const slice = new Slice();
    const statuses: ImageStatus[] = [];
    for (const image of this.#options.registry.images) {
      await slice.turn();
      statuses.push(this.#statusOf(image));
    }
    return statuses;
  }

  async imageStatus(name: string): Promise<ImageStatus> {
    return this.#statusOf(this.#options.registry.get(name));
  }

  async addImage(request: ImageAddRequest): Promise<ImageStatus> {
    return this.#statusOf(await this.#options.registry.add(request));
  }

  removeImage(name: string): Promise<void> {
    return this.#options.registry.remove(name);
  }

  async renameImage(name: string, newName: string): Promise<ImageStatus> {
    return this.#statusOf(await this.#options.registry.rename(name, newName));
  }

  async repinImage(name: string): Promise<ImageStatus> {
    return this.#statusOf(await this.#options.registry.repin(name));
  }

  async warmImage(name: string, { cluster, ...options }: WarmOptions): Promise<WarmResult> {
    if (!cluster) return this.#withContent(name, (content, deadlineMs) => warm(content, { ...options, deadlineMs }));
    const { prober } = this.#cluster;
    const deadlineMs = this.#options.registry.deadlineMsOf(this.#options.registry.get(name).record);
    return this.#withRawContent(name, (content) => warmCluster(content, prober, { ...options, deadlineMs }));
  }

  verifyImage(name: string, options: JobOptions): Promise<VerifyResult> {
    return this.#withContent(name, (content) => verify(content, options));
  }

  async sealImage(name: string, options: JobOptions): Promise<SealResult> {
    return this.#withRawContent(name, (content) => sealContent(content, this.#options.manifestStore, options));
  }

  async explain(exportName: string): Promise<Explanation> {
    const { registry, disks, pool } = this.#options;
    const disk = disks.registry.find(exportName);
    const { record, metrics } = disk ?? registry.get(exportName);
    const named = { name: record.name, metrics };
    if (disk === undefined) return this.#withRawContent(exportName, async (content) => explain(named, content));
    const { image } = disk.record;
    if (image === undefined) return explain(named, undefined);
    const lease = await pool.lease(containerSpec(image.content), image.share);
    try {
      return explain(named, lease.content);
    } finally {
      await lease.release();
    }
  }

  async clusterStatus(): Promise<ClusterStatus> {
    const { cluster, pool, node } = this.#options;
    if (cluster !== undefined) return clusterStatus(cluster, pool.contents);
    return {
      enabled: false,
      node: { id: node.id, address: node.address, donatedBytes: 0, draining: false },
      name: '',
      reason: 'this node is in no cluster',
      membership: { kind: 'none', well: true },
      cutOff: false,
      members: [],
    };
  }

  async moveCluster(name: string): Promise<ClusterMoveResult> {
    return this.#cluster.move(name);
  }

  async clusterImageStatus(name: string): Promise<ClusterImageStatus> {
    const cluster = this.#cluster;
    const { record } = this.#options.registry.get(name);
    return this.#withRawContent(name, (content) => clusterImageStatus(record, content, cluster));
  }

  async drainNode(options: JobOptions): Promise<DrainResult> {
    const { pool, registry, disks, log } = this.#options;
    const cluster = this.#cluster;
    const guestCount = (): number =>
      [...registry.images, ...disks.registry.exports].reduce((sum, { metrics }) => sum + metrics.connections, 0);
    const drained = {
      get here() {
        return disks.registry.exports;
      },
      get owned() {
        return disks.control.owned;
      },
      migrate: (name: string, nodeId: string, job: JobOptions) => disks.control.migrateDisk(name, nodeId, job),
    };
    const drainedDisks = () => drainDisks({ ...options, disks: drained, members: () => cluster.prober.members(), clock: systemClock, log });
    return drain({ ...options, cluster, pool, guestCount, drainDisks: drainedDisks });
  }

  async undrainNode(): Promise<void> {
    this.#cluster.self.change({ draining: false });
  }

  createDisk(request: DiskCreateRequest): Promise<DiskStatus> {
    return this.#disks.createDisk(request);
  }

  listDisks(): Promise<DiskStatus[]> {
    return this.#disks.listDisks();
  }

  diskStatus(name: string): Promise<DiskStatus> {
    return this.#disks.diskStatus(name);
  }

  resizeDisk(name: string, sizeBytes: number): Promise<DiskStatus> {
    return this.#disks.resizeDisk(name, sizeBytes);
  }

  renameDisk(name: string, newName: string): Promise<DiskStatus> {
    return this.#disks.renameDisk(name, newName);
  }

  removeDisk(name: string): Promise<void> {
    return this.#disks.removeDisk(name);
  }

  snapshotDisk(name: string, snapshot: string, options: JobOptions): Promise<Progress> {
    return this.#disks.snapshotDisk(name, snapshot, options);
  }

  revertDisk(name: string, snapshot: string, options: JobOptions): Promise<Progress> {
    return this.#disks.revertDisk(name, snapshot, options);
  }

  removeSnapshot(name: string, snapshot: string): Promise<DiskStatus> {
    return this.#disks.removeSnapshot(name, snapshot);
  }

  promoteDisk(name: string, image: string, options: JobOptions & { path?: string | undefined }): Promise<PromoteResult> {
    return this.#disks.promoteDisk(name, image, options);
  }

  takeDisk(name: string, options: { force?: boolean | undefined; acceptLoss?: boolean | undefined }): Promise<DiskTakeResult> {
    return this.#disks.takeDisk(name, options);
  }

  acceptDiskLoss(name: string, options: { confirmed?: boolean | undefined }): Promise<DiskStatus> {
    return this.#disks.acceptDiskLoss(name, options);
  }

  migrateDisk(name: string, to: string, options: JobOptions): Promise<MigrateResult> {
    return this.#disks.migrateDisk(name, to, options);
  }

  async metrics(): Promise<string> {
    const { registry, pool, space, server } = this.#options;
    return renderMetrics({
      images: registry.images,
      disks: this.#options.disks.registry.exports,
      contents: pool.contents,
      space,
      server,
      cluster: this.#options.cluster,
    });
  }

  /** The image may be removed or repinned while the work goes on. */
  async #withContent<T>(name: string, work: (content: Content, deadlineMs: number) => Promise<T>): Promise<T> {
    const { registry, pool } = this.#options;
    const { record } = registry.get(name);
    const lease = await pool.lease(record.content, record.share);
    try {
      return await work(lease.content, registry.deadlineMsOf(record));
    } finally {
      await lease.release();
    }
  }

  /** Of a foreign format the container: what is sealed and shared. */
  async #withRawContent<T>(name: string, work: (content: Content) => Promise<T>): Promise<T> {
    const { registry, pool } = this.#options;
    const { record } = registry.get(name);
    const lease = await pool.lease(containerSpec(record.content), record.share);
    try {
      return await work(lease.content);
    } finally {
      await lease.release();
    }
  }

  /** @throws CopseError `ERR_NOT_CLUSTERED` */
  get #cluster(): Cluster {
    const { cluster } = this.#options;
    if (cluster !== undefined) return cluster;
    throw new CopseError(
      'ERR_NOT_CLUSTERED',
      'this node is in no cluster: start it with --address and --peer or --etcd (docs/configuration.md)',
    );
  }

  async #fastPathStatus(): Promise<FastPathStatus> {
    const { fastPath: enabled, registry, disks } = this.#options;
    const status = { enabled, connections: 0, reads: 0, coldReads: 0, writes: 0, handedUp: 0 };
    const slice = new Slice();
    for (const { metrics } of [...registry.images, ...disks.registry.exports]) {
      await slice.turn();
      const { lanes, reads, coldReads, writes, handedUp } = foldLanes(metrics).fast;
      status.connections += lanes.size;
      status.reads += reads;
      status.coldReads += coldReads;
      status.writes += writes;
      status.handedUp += handedUp;
    }
    return status;
  }

  async #cacheStatus(): Promise<CacheStatus> {
    const { space } = this.#options;
    const freeBytes = await space.freeBytes();
    const { budgetBytes, minFreeBytes, usedBytes, state, message } = space;
    return { budgetBytes, minFreeBytes, usedBytes, freeBytes, state, ...(message === undefined ? {} : { message }) };
  }

  #statusOf(image: ServedImage): ImageStatus {
    const { record, metrics } = image;
    const { content } = image.lease;
    const { store } = content.cache;
    const { healthMessage } = content;
    const { manifest } = record.content;
    return {
      name: record.name,
      url: displayUrl(record.content.url),
      format: record.content.format,
      sizeBytes: record.content.sizeBytes,
      chunkSizeBytes: record.content.chunkSizeBytes,
      deadlineMs: this.#options.registry.deadlineMsOf(record),
      identity: record.content.identity,
      pinnedAt: record.pinnedAt,
      manifest: manifest === undefined ? undefined : { url: displayUrl(manifest.url ?? ''), digest: manifest.digest },
      share: record.share,
      guard: identityOf(record, this.#options.cluster?.config).guard,
      container: record.content.format === 'raw' ? undefined : (record.container ?? 'unchecked'),
      origin: {
        health: content.health,
        ...(healthMessage === undefined ? {} : { message: healthMessage }),
      },
      cache: { cachedBytes: store.dataBytes + store.zeroBytes, dataBytes: store.dataBytes, unverifiedBytes: store.unverifiedBytes },
      connections: metrics.connections,
    };
  }
}
