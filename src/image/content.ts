/**
 * One content that is served from its cache: the whole way of a read, put together.
 *
 *   raw       cache ── fetch count ── retry ── meter ── health ── manifest ── origin
 *   shared    cache ── (homes, else) holders ── fetch count ── … ── origin
 *   foreign   cache ── retry ── meter ── health ── qemu-nbd ── export ── container's cache ── …
 *
 * The container of a foreign content is a content of its own. So the bytes that qemu-nbd reads are
 * fetched once, in chunks, pinned and kept. The two have different memory budgets, because a fetch
 * of the one waits for fetches of the other. A cluster shares the container.
 */

import { join } from 'node:path';
import type { Budget } from '../base/budget.js';
import { systemClock } from '../base/clock.js';
import type { Logger } from '../base/log.js';
import { MiB } from '../base/size.js';
import type { BufferPools } from '../cache/buffer-pool.js';
import { ChunkCache } from '../cache/chunk-cache.js';
import type { CacheSpace } from '../cache/evict/cache-space.js';
import { ChunkStore } from '../cache/store/chunk-store.js';
import { type ContentSpec, contentId } from '../catalog/image-record.js';
import type { ClusteredContent, ClusterSource } from '../cluster/clustered-content.js';
import { withKnownZeroes } from '../manifest/known-zeroes.js';
import type { Manifest } from '../manifest/manifest.js';
import { withManifest } from '../manifest/sealed-origin.js';
import { FetchCount, withFetchCount } from '../origin/fetch-count.js';
import { type HealthyOrigin, withHealth } from '../origin/health.js';
import { OriginMeter, withMeter } from '../origin/meter.js';
import type { Origin } from '../origin/origin.js';
import { withRetry } from '../origin/retry.js';
import { readAsHome } from './home-read.js';
import { ImageDevice } from './image-device.js';

/**
 * Bound on a request to an origin: long enough that latency hardly counts, short enough that
 * several travel side by side.
 */
const maxRunBytes = 1 * MiB;
/**
 * Bound on the memory of a node for reads of caches as their own homes: less than one fetch of the
 * home path.
 */
export const reentryBytes = maxRunBytes / 2;
/**
 * Bounds on the requests under way to one content's origin, for guests and ahead of them. HTTP
 * opens as many connections.
 */
export const demandRequests = 32;
export const prefetchRequests = 8;

/**
 * A thing that is released. With `forget` its cached chunks go, too, unless it has other users.
 */
export interface Releasable {
  release(options?: { forget?: boolean }): Promise<void>;
}

/** Place of a content in the cluster. */
export interface ContentCluster {
  /** Id of the content, the same on all nodes. */
  id: string;
  /** Memory of the guest path, for chunks that come from their homes. */
  memory: Budget;
  /** Memory of the home path for chunks that peers' guests wait for. */
  peerMemory: Budget;
  /** Makes the content known to peers, until `leave`. */
  join(content: Content, sources: { origin: ClusterSource; readAsHome: ClusterSource['read'] }): ClusteredContent;
  leave(content: Content): void;
}

export interface ContentOptions {
  spec: ContentSpec;
  /** Origin, which the content owns and closes. */
  origin: Origin;
  /** Returns true if the origin is there; for origins that may be missing. */
  hasOrigin?: (() => boolean) | undefined;
  cacheDir: string;
  space: CacheSpace;
  memory: Budget;
  /** Memory for reads of the cache as its own home; see `readAsHome`. */
  reentryMemory: Budget;
  buffers: BufferPools;
  readaheadBytes: number;
  /** Manifest that each chunk of a sealed raw content must match. */
  manifest: Manifest | undefined;
  /** Place in the cluster of a content that peers share. */
  cluster: ContentCluster | undefined;
  log: Logger;
  /** Parts that must outlive the content; released after it. */
  below: Releasable[];
}

/** Paths of a content's files. */
export function contentPaths(cacheDir: string, id: string): { dataPath: string; mapPath: string } {
  return { dataPath: join(cacheDir, `${id}.data`), mapPath: join(cacheDir, `${id}.map`) };
}

/** The 32 bits of a content's id that its map records are bound to. */
export function recordSeedOf(id: string): number {
  return Number.parseInt(id.slice(0, 8), 16);
}

export class Content {
  readonly id: string;
  readonly spec: ContentSpec;
  readonly device: ImageDevice;
  readonly cache: ChunkCache;
  readonly meter = new OriginMeter();
  /** Attempts at the origin that were repeated. */
  retryCount = 0;
  /** Count of the chunks that came from the origin through this node. */
  readonly fetchCount: FetchCount;
  readonly manifest: Manifest | undefined;
  /** Cluster's view of a content that peers share. */
  readonly clustered: ClusteredContent | undefined;
  readonly #cluster: ContentCluster | undefined;
  readonly #origin: HealthyOrigin;
  readonly #below: Releasable[];
  readonly #hasOrigin: () => boolean;

  constructor(options: ContentOptions) {
    const { spec, log, space } = options;
    this.spec = spec;
    this.id = contentId(spec);
    this.#below = options.below;
    this.#hasOrigin = options.hasOrigin ?? (() => true);
    const { sizeBytes, chunkSizeBytes: chunkBytes } = spec;
    const { manifest, cluster } = options;
    this.manifest = manifest;
    this.#cluster = cluster;
    this.fetchCount = new FetchCount({ sizeBytes, chunkBytes });
    this.#origin = withHealth(manifest === undefined ? options.origin : withManifest(options.origin, manifest), { log });
    const retrying = withRetry(withMeter(this.#origin, this.meter), {
      log,
      onRetry: () => {
        this.retryCount += 1;
      },
    });
    const origin = withFetchCount(retrying, this.fetchCount);
    this.clustered = cluster?.join(this, { origin, readAsHome: (...read) => readAsHome(this.cache, options.reentryMemory, ...read) });
    const { clustered } = this;
    const store = new ChunkStore({ ...contentPaths(options.cacheDir, this.id), sizeBytes, chunkBytes, recordSeed: recordSeedOf(this.id) });
    space.add(store, clustered === undefined ? {} : { isHome: (chunk) => clustered.isHome(chunk) });
    this.cache = new ChunkCache({
      name: options.origin.url,
      store,
      source: clustered === undefined ? withKnownZeroes(sayingSo(origin), manifest) : clustered.homeSource,
      guestPath:
        cluster === undefined || clustered === undefined
          ? undefined
          : { source: clustered.guestSource, memory: cluster.memory, isHome: (chunk) => clustered.isHome(chunk) },
      verifier: manifest,
      space,
      memory: options.memory,
      peerMemory: cluster?.peerMemory,
      buffers: options.buffers,
      limits: {
        demandRequests,
        prefetchRequests,
        maxRunChunks: Math.max(1, maxRunBytes / chunkBytes),
        extentChunks: clustered?.extentChunks,
      },
      readaheadBytes: options.readaheadBytes,
      trouble: () => this.healthMessage,
      clock: systemClock,
      log,
    });
    this.device = new ImageDevice(this.cache);
  }

  /** False while this node may not open the origin; other nodes are home to the chunks then. */
  get hasOrigin(): boolean {
    return this.#hasOrigin();
  }

  /**
   * Resolves when the map is in memory. No read may begin before.
   *
   * @throws the system's error if the map can't be read
   */
  get ready(): Promise<void> {
    return this.cache.store.ready;
  }

  get health(): HealthyOrigin['health'] {
    return this.#origin.health;
  }

  get healthMessage(): string | undefined {
    return this.#origin.healthMessage;
  }

  /**
   * Fails requests under way, syncs and closes the cache, then closes the origin and releases what
   * lies below.
   */
  async close(options: { forget?: boolean } = {}): Promise<void> {
    this.#cluster?.leave(this);
    await this.device.close();
    await this.#origin.close();
    for (const part of this.#below) await part.release(options);
  }
}

/** Makes a source of an origin that names the place of its bytes. */
function sayingSo(origin: Origin): ClusterSource {
  return {
    read: (offset, lengthBytes, sink, options) => {
      sink.from('origin');
      return origin.read(offset, lengthBytes, sink, options);
    },
  };
}
