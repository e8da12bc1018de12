/**
 * Serves the contents of disks that have left this node to other members. No catalog may name such
 * a content any more, and this node may be the only one that opens its origin.
 *
 * A content is held open under two conditions: another node's disk stands on it, as far as this
 * node knows, and this node may open its origin by its own word. Peers' reads then have a home.
 */
import type { Clock } from '../base/clock.js';
import { errorMessage } from '../base/error.js';
import type { Logger } from '../base/log.js';
import type { DiskOrigins } from '../catalog/disk-origin.js';
import { type ContentSpec, contentId } from '../catalog/image-record.js';
import type { DiskRegistry } from '../disk/owner/registry.js';
import type { DiskRecord } from '../disk/protocol/record.js';
import type { ContentLease, ContentPool } from './content-pool.js';

export interface BaseKeeperOptions {
  registry: DiskRegistry;
  pool: ContentPool;
  origins: DiskOrigins;
  clock: Clock;
  log: Logger;
}

const lookMs = 500;

export class BaseKeeper {
  readonly #options: BaseKeeperOptions;
  /** Leases by content id, as the disks' records have it. */
  readonly #kept = new Map<string, ContentLease>();
  /** Ids of specs, so that no look hashes them anew. */
  readonly #ids = new WeakMap<ContentSpec, string>();
  #cancel: () => void = () => {};
  #looking: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: BaseKeeperOptions) {
    this.#options = options;
  }

  /** Looks at the disks now, and then at intervals. */
  start(): void {
    this.#next();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel();
    await this.#looking;
    for (const lease of this.#kept.values()) await lease.release();
    this.#kept.clear();
  }

  #next(): void {
    this.#looking = this.#look()
      .catch((error: unknown) =>
        this.#options.log.error({ reason: errorMessage(error) }, 'the content of a disk that moved to another node is not served to it'),
      )
      .finally(() => {
        if (!this.#closed) this.#cancel = this.#options.clock.after(lookMs, () => this.#next());
      });
  }

  async #look(): Promise<void> {
    const { registry, pool, origins } = this.#options;
    const wanted = new Map<string, NonNullable<DiskRecord['image']>>();
    for (const { record } of registry.options.known.list()) {
      const { image } = record;
      const id = image && this.#idOf(image.content);
      if (image !== undefined && id !== undefined && origins.has(id)) wanted.set(id, image);
    }
    for (const [id, lease] of this.#kept) {
      if (wanted.has(id)) continue;
      this.#kept.delete(id);
      await lease.release();
    }
    for (const [id, { content, share }] of wanted) {
      const own = this.#kept.has(id) ? undefined : origins.origin(content);
      if (own === undefined || this.#closed) continue;
      this.#kept.set(id, await pool.lease(own, share));
    }
  }

  #idOf(content: ContentSpec): string {
    const id = this.#ids.get(content) ?? contentId(content);
    this.#ids.set(content, id);
    return id;
  }
}
