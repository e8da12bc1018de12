/** What the admin API may ask of this node, answered from the object graph. */
import type {
  CacheStatus,
  ClusterImageStatus,
  ClusterMoveResult,
  ClusterStatus,
  Control,
  DaemonStatus,
  DrainResult,
  Explanation,
  ImageAddRequest,
  ImageStatus,
  JobOptions,
  SealResult,
  VerifyResult,
  WarmOptions,
  WarmResult,
} from '../admin/control.js';
import { CopseError } from '../base/error.js';
import { ChunkState } from '../base/native.js';
import { version } from '../base/version.js';
import type { CacheSpace } from '../cache/cache-space.js';
import { containerSpec } from '../catalog/image-record.js';
import { displayUrl } from '../origin/url.js';
import type { Server } from '../server/server.js';
import type { Cluster } from './cluster/cluster.js';
import type { Content } from './content.js';
import type { ContentPool } from './content-pool.js';
import type { ImageRegistry, ServedImage } from './image-registry.js';
import { verify, warm } from './job.js';
import type { ManifestStore } from './manifest-store.js';
import { renderMetrics } from './metrics.js';
import { sealContent } from './seal-content.js';

export interface NodeControlOptions {
  registry: ImageRegistry;
  pool: ContentPool;
  space: CacheSpace;
  server: Server;
  /** Absent on a single host. */
  cluster: Cluster | undefined;
  manifestStore: ManifestStore;
  stateDir: string;
}

export class NodeControl implements Control {
  readonly #options: NodeControlOptions;

  constructor(options: NodeControlOptions) {
    this.#options = options;
  }

  async status(): Promise<DaemonStatus> {
    const { server, stateDir, registry } = this.#options;
    return {
      version,
      pid: process.pid,
      uptimeSeconds: Math.round(process.uptime()),
      stateDir,
      listeners: server.uris,
      connections: server.connectionCount,
      cache: await this.#cacheStatus(),
      imageCount: registry.images.length,
      residentBytes: process.memoryUsage.rss(),
    };
  }

  async listImages(): Promise<ImageStatus[]> {
    return this.#options.registry.images.map((image) => this.#statusOf(image));
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

  async repinImage(name: string): Promise<ImageStatus> {
    return this.#statusOf(await this.#options.registry.repin(name));
  }

  async warmImage(name: string, { cluster, ...options }: WarmOptions): Promise<WarmResult> {
    if (cluster) throw notClustered();
    return this.#withContent(name, (content, deadlineMs) => warm(content, { ...options, deadlineMs }));
  }

  verifyImage(name: string, options: JobOptions): Promise<VerifyResult> {
    return this.#withContent(name, (content) => verify(content, options));
  }

  async sealImage(name: string, options: JobOptions): Promise<SealResult> {
    const { registry, pool, manifestStore } = this.#options;
    const { record } = registry.get(name);
    const lease = await pool.lease(containerSpec(record.content), record.share);
    try {
      return await sealContent(lease.content, manifestStore, options);
    } finally {
      await lease.release();
    }
  }

  async explain(_exportName: string): Promise<Explanation> {
    throw new CopseError('ERR_NOT_SUPPORTED', 'this daemon does not keep where the bytes of an export came from: upgrade it');
  }

  async clusterStatus(): Promise<ClusterStatus> {
    throw notClustered();
  }

  async moveCluster(_name: string): Promise<ClusterMoveResult> {
    throw notClustered();
  }

  async clusterImageStatus(_name: string): Promise<ClusterImageStatus> {
    throw notClustered();
  }

  async drainNode(_options: JobOptions): Promise<DrainResult> {
    throw notClustered();
  }

  async undrainNode(): Promise<void> {
    throw notClustered();
  }

  async metrics(): Promise<string> {
    const { registry, pool, space, server } = this.#options;
    return renderMetrics({ images: registry.images, contents: pool.contents, space, server });
  }

  /** The image may be removed or repinned while the work goes on. */
  async #withContent<T>(name: string, work: (content: Content, deadlineMs: number) => Promise<T>): Promise<T> {
    const { registry, pool } = this.#options;
    const { record } = registry.get(name);
    const lease = await pool.lease(record.content);
    try {
      return await work(lease.content, registry.deadlineMsOf(record));
    } finally {
      await lease.release();
    }
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
    return {
      name: record.name,
      url: displayUrl(record.content.url),
      format: record.content.format,
      sizeBytes: record.content.sizeBytes,
      chunkSizeBytes: record.content.chunkSizeBytes,
      deadlineMs: this.#options.registry.deadlineMsOf(record),
      identity: record.content.identity,
      pinnedAt: record.pinnedAt,
      origin: {
        health: content.health,
        ...(healthMessage === undefined ? {} : { message: healthMessage }),
      },
      cache: { cachedBytes: store.dataBytes + store.zeroBytes, dataBytes: store.dataBytes, unverifiedBytes: unverifiedBytes(content) },
      connections: metrics.connections,
    };
  }
}

function notClustered(): CopseError {
  return new CopseError(
    'ERR_NOT_CLUSTERED',
    'this node is in no cluster: start it with --address and --peer or --etcd (docs/configuration.md)',
  );
}

/** Counted when asked for: runs of states are few. */
function unverifiedBytes(content: Content): number {
  const { store } = content.cache;
  let bytes = 0;
  for (let chunk = 0; chunk < store.chunkCount; ) {
    const runs = store.runs(chunk, store.chunkCount - chunk, 4096);
    for (let index = 0; index + 1 < runs.length; index += 2) {
      const count = runs[index + 1] ?? 0;
      if (runs[index] === ChunkState.unverified) bytes += Math.min(count * store.chunkBytes, store.sizeBytes - chunk * store.chunkBytes);
      chunk += count;
    }
  }
  return bytes;
}
