/**
 * One content being served from its cache: the whole way of a read, put together.
 *
 *   raw       cache ── retry ── meter ── health ── origin
 *   foreign   cache ── retry ── meter ── health ── qemu-nbd ── private export ── container's cache ── …
 *
 * A foreign content's container is a content of its own: what qemu-nbd reads is fetched once, in chunks, pinned, and kept too. The two draw on
 * different memory budgets, because a fetch of the one waits for fetches of the other.
 */
import { join } from 'node:path';
import type { Budget } from '../base/budget.js';
import { systemClock } from '../base/clock.js';
import type { Logger } from '../base/log.js';
import { MiB } from '../base/size.js';
import type { BufferPools } from '../cache/buffer-pool.js';
import type { CacheSpace } from '../cache/cache-space.js';
import { ChunkCache } from '../cache/chunk-cache.js';
import { ChunkStore } from '../cache/chunk-store.js';
import { type ContentSpec, contentId } from '../catalog/image-record.js';
import { ImageDevice } from '../device/image.js';
import { type HealthyOrigin, withHealth } from '../origin/health.js';
import { OriginMeter, withMeter } from '../origin/meter.js';
import type { Origin } from '../origin/origin.js';
import { withRetry } from '../origin/retry.js';

/** The longest request to an origin: long enough that latency hardly counts, short enough that several travel side by side. */
const maxRunBytes = 1 * MiB;
/** Requests under way at once to one content's origin, for guests and ahead of them. HTTP opens as many connections. */
export const demandRequests = 32;
export const prefetchRequests = 8;

/** `forget`: what it has cached goes too, when nobody else uses it. */
export interface Releasable {
  release(options?: { forget?: boolean }): Promise<void>;
}

export interface ContentOptions {
  spec: ContentSpec;
  /** Owned, and closed, by the content. */
  origin: Origin;
  cacheDir: string;
  space: CacheSpace;
  memory: Budget;
  buffers: BufferPools;
  readaheadBytes: number;
  log: Logger;
  /** What has to outlive the content: released after it. */
  below: Releasable[];
}

/** Where a content's files lie. */
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
  readonly #origin: HealthyOrigin;
  readonly #below: Releasable[];

  constructor(options: ContentOptions) {
    const { spec, log, space } = options;
    this.spec = spec;
    this.id = contentId(spec);
    this.#below = options.below;
    this.#origin = withHealth(options.origin, { log });
    const source = withRetry(withMeter(this.#origin, this.meter), {
      log,
      onRetry: () => {
        this.retryCount += 1;
      },
    });
    const { sizeBytes, chunkSizeBytes: chunkBytes } = spec;
    const store = new ChunkStore({ ...contentPaths(options.cacheDir, this.id), sizeBytes, chunkBytes, recordSeed: recordSeedOf(this.id) });
    space.add(store);
    this.cache = new ChunkCache({
      name: options.origin.url,
      store,
      source,
      space,
      memory: options.memory,
      buffers: options.buffers,
      limits: { demandRequests, prefetchRequests, maxRunChunks: Math.max(1, maxRunBytes / chunkBytes) },
      readaheadBytes: options.readaheadBytes,
      trouble: () => this.healthMessage,
      clock: systemClock,
      log,
    });
    this.device = new ImageDevice(this.cache);
  }

  get health(): HealthyOrigin['health'] {
    return this.#origin.health;
  }

  get healthMessage(): string | undefined {
    return this.#origin.healthMessage;
  }

  /** What is under way fails, the cache is synced and closed, then the origin and what lies below. */
  async close(options: { forget?: boolean } = {}): Promise<void> {
    await this.device.close();
    await this.#origin.close();
    for (const part of this.#below) await part.release(options);
  }
}
