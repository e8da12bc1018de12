/**
 * The images that this node serves, by name: which content stands behind each name now.
 *
 * Invariants: a client keeps the content that it is attached to, even if the name changes or goes.
 * Changes of one name happen one after another.
 */
import { waitFor } from '../base/deadline.js';
import { CopseError, errorCode, errorMessage } from '../base/error.js';
import type { Logger } from '../base/log.js';
import { Slice } from '../base/slice.js';
import { SortedMap } from '../base/sorted-map.js';
import type { Catalog } from '../catalog/catalog.js';
import { contentId, type ImageRecord } from '../catalog/image-record.js';
import type { ExportMetrics } from '../server/export.js';
import { createExportMetrics } from '../server/export-metrics.js';
import type { ContentLease, ContentPool } from './content-pool.js';
import type { PromotedFiles } from './promoted-files.js';

/**
 * Bound on the wait for one image when the daemon starts, in ms. The image is served later all the
 * same.
 */
const startMs = 5000;

export interface ServedImage {
  record: ImageRecord;
  readonly lease: ContentLease;
  /** Counters of the name; they go on over a repin. */
  readonly metrics: ExportMetrics;
}

export interface ServedImagesOptions {
  catalog: Catalog;
  pool: ContentPool;
  /** Files that are removed with their image. */
  files?: Pick<PromotedFiles, 'mark' | 'sweep'> | undefined;
  log: Logger;
}

export class ServedImages {
  readonly #options: ServedImagesOptions;
  readonly #served = new SortedMap<ServedImage>();
  /** Last change of each name. */
  readonly #changes = new Map<string, Promise<unknown>>();

  constructor(options: ServedImagesOptions) {
    this.#options = options;
  }

  /** Images sorted by name. */
  get images(): readonly ServedImage[] {
    return this.#served.sorted;
  }

  get count(): number {
    return this.#served.size;
  }

  find(name: string): ServedImage | undefined {
    return this.#served.get(name);
  }

  /** @throws CopseError `ERR_NO_SUCH_IMAGE` */
  get(name: string): ServedImage {
    const image = this.#served.get(name);
    if (image === undefined) {
      throw new CopseError('ERR_NO_SUCH_IMAGE', `there is no image "${name}": "copse image ls" lists the images of this node`);
    }
    return image;
  }

  has(name: string): boolean {
    return this.#served.has(name);
  }

  /**
   * Serves the images of the catalog, and follows the changes that other nodes make in it. Asks no
   * origin. An image that can't be served is logged, and delays no other image.
   */
  async start(): Promise<void> {
    const { catalog, log } = this.#options;
    catalog.onChange((name) => void this.#follow(name));
    const slice = new Slice();
    for (const record of catalog.list()) {
      await slice.turn();
      try {
        // An image whose manifest has to be fetched first delays no other one.
        await waitFor(`image "${record.name}"`, this.#settle(record.name), { timeoutMs: startMs });
      } catch (error) {
        log.error(
          { image: record.name, code: errorCode(error), reason: errorMessage(error) },
          'an image of the catalog is not served: remove the cause and restart the daemon',
        );
      }
    }
  }

  /**
   * Serves a name by a record. The lease of the image that it replaces is the caller's to release.
   */
  async serve(record: ImageRecord, metrics: ExportMetrics): Promise<ServedImage> {
    const lease = await this.#options.pool.lease(record.content, record.share);
    const image = { record, lease, metrics };
    this.#served.set(record.name, image);
    return image;
  }

  /** Stops serving a name. The lease is the caller's to release. */
  withdraw(name: string): void {
    this.#served.delete(name);
  }

  /** Runs a change of a name behind the changes before it. */
  change<T>(name: string, change: () => Promise<T>): Promise<T> {
    const done = (this.#changes.get(name) ?? Promise.resolve()).then(change, change);
    this.#changes.set(name, done);
    const forget = (): void => {
      if (this.#changes.get(name) === done) this.#changes.delete(name);
    };
    done.then(forget, forget);
    return done;
  }

  /** Another node has added, removed or repinned an image. */
  async #follow(name: string): Promise<void> {
    try {
      await this.#settle(name);
    } catch (error) {
      this.#options.log.error(
        { image: name, code: errorCode(error), reason: errorMessage(error) },
        'another node changed this image, and the change is not served here',
      );
    }
  }

  /** Serves a name as the catalog has it. */
  #settle(name: string): Promise<void> {
    return this.change(name, async () => {
      const record = this.#options.catalog.get(name);
      const image = this.#served.get(name);
      if (record === undefined) {
        this.#served.delete(name);
        if (image !== undefined) this.#options.files?.mark(image.record.content);
        await image?.lease.release({ forget: true });
        await this.#options.files?.sweep();
      } else if (image === undefined) {
        await this.serve(record, createExportMetrics());
      } else if (contentId(record.content) === contentId(image.record.content) && record.share === image.record.share) {
        image.record = record;
      } else {
        await this.serve(record, image.metrics);
        await image.lease.release();
      }
    });
  }
}
