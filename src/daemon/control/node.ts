/** `NodeControl` over the daemon as a whole. */
import type { NodeControl } from '../../admin/control-node.js';
import type { CacheStatus, DaemonStatus, DrainResult, Explanation, FastPathStatus, StatusWarning } from '../../admin/schema-node.js';
import { systemClock } from '../../base/clock.js';
import type { JobOptions } from '../../base/job.js';
import type { Logger } from '../../base/log.js';
import { Slice } from '../../base/slice.js';
import { version } from '../../base/version.js';
import type { CacheSpace } from '../../cache/evict/cache-space.js';
import { drainDisks } from '../../disk/operate/drain.js';
import { diskTrouble } from '../../disk/operate/status.js';
import type { ContentPool } from '../../image/content-pool.js';
import type { ServedImage } from '../../image/registry.js';
import { foldLanes } from '../../server/export-metrics.js';
import type { Server } from '../../server/server.js';
import { type Cluster, requireCluster } from '../cluster/cluster.js';
import type { PeerServer } from '../cluster/peer-server.js';
import type { Disks } from '../disks.js';
import { renderMetrics } from '../metrics/metrics.js';
import type { DaemonDisks } from './disks.js';
import { drain } from './drain.js';
import { explain } from './explain.js';
import type { LeasedContents } from './leased-content.js';

export interface DaemonNodeOptions {
  contents: LeasedContents;
  disks: Disks;
  diskControl: DaemonDisks;
  pool: ContentPool;
  space: CacheSpace;
  server: Server;
  /** Absent on a single host. */
  cluster: Cluster | undefined;
  peerServer: PeerServer | undefined;
  stateDir: string;
  /** Addresses of the admin API. */
  adminListeners(): string[];
  fastPath: boolean;
  /** Present faults that an operator has to mend. */
  warnings(): StatusWarning[];
  log: Logger;
}

export class DaemonNode implements NodeControl {
  readonly #options: DaemonNodeOptions;

  constructor(options: DaemonNodeOptions) {
    this.#options = options;
  }

  async status(): Promise<DaemonStatus> {
    const { server, stateDir, disks } = this.#options;
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
      imageCount: this.#images.length,
      residentBytes: process.memoryUsage.rss(),
      troubles: disks.registry.exports.flatMap((disk) => diskTrouble(disk)),
      warnings: this.#options.warnings(),
    };
  }

  async metrics(): Promise<string> {
    const { disks, pool, space, server, cluster, peerServer } = this.#options;
    const peers = cluster === undefined || peerServer === undefined ? undefined : { cluster, served: peerServer.directory.metrics };
    return renderMetrics({ images: this.#images, disks: disks.registry.exports, contents: pool.contents, space, server, peers });
  }

  async explain(exportName: string): Promise<Explanation> {
    const { contents, disks } = this.#options;
    const disk = disks.registry.find(exportName);
    const { record, metrics } = disk ?? contents.registry.get(exportName);
    const named = { name: record.name, metrics };
    if (disk === undefined) return contents.withContainer(exportName, async (content) => explain(named, content));
    const { image } = disk.record;
    if (image === undefined) return explain(named, undefined);
    return contents.withContainerOf(image, async (content) => explain(named, content));
  }

  async drain(options: JobOptions): Promise<DrainResult> {
    const { pool, disks, diskControl, log } = this.#options;
    const cluster = requireCluster(this.#options.cluster);
    const guestCount = (): number =>
      [...this.#images, ...disks.registry.exports].reduce((sum, { metrics }) => sum + metrics.connections, 0);
    const drained = {
      get here() {
        return disks.registry.exports;
      },
      get owned() {
        return disks.owned;
      },
      migrate: (name: string, nodeId: string, job: JobOptions) => diskControl.migrate(name, nodeId, job),
    };
    const drainedDisks = () =>
      drainDisks({ ...options, disks: drained, members: () => cluster.liveCluster.members(), clock: systemClock, log });
    return drain({ ...options, cluster, pool, guestCount, drainDisks: drainedDisks });
  }

  async undrain(): Promise<void> {
    requireCluster(this.#options.cluster).self.change({ draining: false });
  }

  get #images(): readonly ServedImage[] {
    return this.#options.contents.registry.images;
  }

  async #fastPathStatus(): Promise<FastPathStatus> {
    const { fastPath: enabled, disks } = this.#options;
    const status = { enabled, connections: 0, reads: 0, coldReads: 0, writes: 0, handedUp: 0 };
    const slice = new Slice();
    for (const { metrics } of [...this.#images, ...disks.registry.exports]) {
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
}
