/** `ImageControl` over this node's images. */
import type { ImageControl, WarmOptions } from '../../admin/control-image.js';
import type { ImageAddRequest, ImageStatus, SealResult, VerifyResult, WarmResult } from '../../admin/schema-image.js';
import { displayUrl } from '../../base/display-url.js';
import type { JobOptions } from '../../base/job.js';
import { Slice } from '../../base/slice.js';
import { verify, warm } from '../../image/job.js';
import type { ServedImage } from '../../image/registry.js';
import { sealContent } from '../../image/seal-content.js';
import { warmCluster } from '../../image/warm-cluster.js';
import type { ManifestStore } from '../../manifest/store.js';
import { type Cluster, requireCluster } from '../cluster/cluster.js';
import { identityOf } from './cluster-image.js';
import type { LeasedContents } from './leased-content.js';

export interface DaemonImagesOptions {
  contents: LeasedContents;
  /** Absent on a single host. */
  cluster: Cluster | undefined;
  manifestStore: ManifestStore;
}

export class DaemonImages implements ImageControl {
  readonly #options: DaemonImagesOptions;

  constructor(options: DaemonImagesOptions) {
    this.#options = options;
  }

  async list(): Promise<ImageStatus[]> {
    const slice = new Slice();
    const statuses: ImageStatus[] = [];
    for (const image of this.#registry.images) {
      await slice.turn();
      statuses.push(this.#statusOf(image));
    }
    return statuses;
  }

  async status(name: string): Promise<ImageStatus> {
    return this.#statusOf(this.#registry.get(name));
  }

  async add(request: ImageAddRequest): Promise<ImageStatus> {
    return this.#statusOf(await this.#registry.add(request));
  }

  remove(name: string): Promise<void> {
    return this.#registry.remove(name);
  }

  async rename(name: string, newName: string): Promise<ImageStatus> {
    return this.#statusOf(await this.#registry.rename(name, newName));
  }

  async repin(name: string): Promise<ImageStatus> {
    return this.#statusOf(await this.#registry.repin(name));
  }

  async warm(name: string, { cluster: isForCluster, ...options }: WarmOptions): Promise<WarmResult> {
    const { contents, cluster } = this.#options;
    if (!isForCluster) return contents.withDecoded(name, (content, deadlineMs) => warm(content, { ...options, deadlineMs }));
    const { liveCluster } = requireCluster(cluster);
    return contents.withContainer(name, (content, deadlineMs) => warmCluster(content, liveCluster, { ...options, deadlineMs }));
  }

  verify(name: string, options: JobOptions): Promise<VerifyResult> {
    return this.#options.contents.withDecoded(name, (content) => verify(content, options));
  }

  async seal(name: string, options: JobOptions): Promise<SealResult> {
    const { contents, manifestStore } = this.#options;
    return contents.withContainer(name, (content) => sealContent(content, manifestStore, options));
  }

  get #registry() {
    return this.#options.contents.registry;
  }

  #statusOf({ record, metrics, lease: { content } }: ServedImage): ImageStatus {
    const { store } = content.cache;
    const { healthMessage } = content;
    const { manifest } = record.content;
    return {
      name: record.name,
      url: displayUrl(record.content.url),
      format: record.content.format,
      sizeBytes: record.content.sizeBytes,
      chunkSizeBytes: record.content.chunkSizeBytes,
      deadlineMs: this.#registry.deadlineMsOf(record),
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
