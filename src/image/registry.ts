/**
 * The images of this node by name: what the NBD server offers, and what the control interface changes.
 *
 * Invariants: an image that is attached keeps its content until the last client lets go, whatever happens to its name; the catalog is durable before a
 * change is visible; changes of one name happen one after another.
 */

import type { ImageAddRequest } from '../admin/schema-image.js';
import { checkChunkSize } from '../base/chunk-size.js';
import { waitFor } from '../base/deadline.js';
import { CopseError, errorCode, errorMessage } from '../base/error.js';
import { checkExportName } from '../base/export-name.js';
import type { Logger } from '../base/log.js';
import { Slice } from '../base/slice.js';
import { SortedMap } from '../base/sorted-map.js';
import type { Catalog } from '../catalog/catalog.js';
import { type ExportNames, takenError } from '../catalog/export-names.js';
import { contentId, type ImageRecord } from '../catalog/image-record.js';
import type { Export, ExportMetrics, ExportView } from '../server/export.js';
import { createExportMetrics } from '../server/export-metrics.js';
import type { ContentLease, ContentPool } from './content-pool.js';
import type { ImagePinner } from './pinner.js';
import type { PromotedFiles } from './promoted-files.js';
import { differenceOf, requestOf } from './request.js';

/** So long the start waits for one image; it goes on trying. */
const startMs = 5000;

export interface ServedImage {
  record: ImageRecord;
  readonly lease: ContentLease;
  /** Of the name: they go on over a repin. */
  readonly metrics: ExportMetrics;
}

export interface ImageRegistryOptions {
  catalog: Catalog;
  pool: ContentPool;
  pinner: ImagePinner;
  defaultDeadlineMs: number;
  /**
   * In a cluster: the record by which a neighbour serves the same, where the origin can't be asked. `recordOf` finds this
   * node's own record of a name.
   */
  recordFromPeers?:
    | ((request: ImageAddRequest, recordOf: (name: string) => ImageRecord | undefined) => Promise<ImageRecord | undefined>)
    | undefined;
  /** Where the catalog is shared: other nodes at which clients are attached to an image. */
  attachedAt?: ((name: string) => string[]) | undefined;
  /** Names of the disks that were created over an image, given the records of all images. */
  disksOver?: ((name: string, images: readonly ImageRecord[]) => string[]) | undefined;
  names: ExportNames;
  /** Files that go with their image. */
  files?: Pick<PromotedFiles, 'mark' | 'sweep'> | undefined;
  /** True if a disk has the name, here or on another node. */
  isDisk?: ((name: string) => Promise<boolean>) | undefined;
  log: Logger;
}

export class ImageRegistry {
  readonly #options: ImageRegistryOptions;
  readonly #served = new SortedMap<ServedImage>();
  /** The last change of each name. */
  readonly #changes = new Map<string, Promise<unknown>>();

  constructor(options: ImageRegistryOptions) {
    this.#options = options;
  }

  /** Sorted by name. */
  get images(): readonly ServedImage[] {
    return this.#served.sorted;
  }

  /** The image of that name. */
  find(name: string): ServedImage | undefined {
    return this.#served.get(name);
  }

  /** @throws CopseError `ERR_NO_SUCH_IMAGE` */
  get(name: string): ServedImage {
    const image = this.#served.get(name);
    if (image === undefined) {
      throw new CopseError('ERR_NO_SUCH_IMAGE', `there is no image "${name}": "copse image ls" lists those that there are`);
    }
    return image;
  }

  /** True if the name is an image's, though it may not be served just now. */
  has(name: string): boolean {
    return this.#served.has(name) || this.#options.catalog.get(name) !== undefined;
  }

  deadlineMsOf(record: ImageRecord): number {
    return record.deadlineMs ?? this.#options.defaultDeadlineMs;
  }

  /** Serves what the catalog holds, and what other nodes change in it from now on; asks no origin. What can't be served is logged and keeps no other from its guests. */
  async start(): Promise<void> {
    const { catalog, log } = this.#options;
    catalog.onChange((name) => void this.#follow(name));
    const slice = new Slice();
    for (const record of catalog.list()) {
      await slice.turn();
      try {
        // One whose manifest has to be fetched first keeps no other waiting.
        await waitFor(`image "${record.name}"`, this.#settle(record.name), { timeoutMs: startMs });
      } catch (error) {
        log.error(
          { image: record.name, code: errorCode(error), reason: errorMessage(error) },
          'this image of the catalog is not served: remove what is in the way and start again',
        );
      }
    }
  }

  *list(): Iterable<{ name: string; description: string }> {
    for (const { record } of this.images) yield { name: record.name, description: describe(record) };
  }

  exportCount(): number {
    return this.#served.size;
  }

  view(name: string): ExportView | undefined {
    const image = this.#served.get(name);
    return image && { name, description: describe(image.record), device: image.lease.content.device };
  }

  async open(name: string): Promise<Export | undefined> {
    const image = this.#served.get(name);
    if (image === undefined) return undefined;
    const { record, metrics } = image;
    const lease = await this.#options.pool.lease(record.content, record.share);
    const release = (): void => void lease.release();
    return { name, description: describe(record), device: lease.content.device, deadlineMs: this.deadlineMsOf(record), metrics, release };
  }

  /** Pins and serves a new image. Adding the same again changes nothing but, if it says so, the deadline. */
  add(request: ImageAddRequest, signal?: AbortSignal): Promise<ServedImage> {
    return this.#change(request.name, async () => {
      if (request.chunkSizeBytes !== undefined) checkChunkSize(request.chunkSizeBytes);
      const existing = this.#served.get(request.name);
      if (existing !== undefined) {
        const difference = differenceOf(existing.record, request);
        if (difference === undefined) {
          if (request.deep) await this.#checkContainer(existing, signal);
          return this.#setDeadline(existing, request.deadlineMs);
        }
        throw new CopseError(
          'ERR_IMAGE_EXISTS',
          `image "${request.name}" exists and its ${difference}: remove it first, or use another name; "copse image repin" moves it to its origin's present content`,
        );
      }
      // Only now: a name that is there already is served on, whatever it is.
      checkExportName(request.name);
      return this.#options.names.claim(request.name, 'image', async () => {
        await this.refuseTaken(request.name);
        const record = await this.#options.catalog.put(await this.#pin(request, signal));
        return this.#serve(record, createExportMetrics());
      });
    });
  }

  /** Looks before an image is made of a name that the caller has claimed. @throws CopseError `ERR_IMAGE_EXISTS` */
  async refuseTaken(name: string): Promise<void> {
    if (this.#served.has(name)) {
      throw new CopseError('ERR_IMAGE_EXISTS', `there is an image "${name}" already: choose another name, or remove it first`);
    }
    if (await this.#options.isDisk?.(name)) throw takenError(name, 'image');
  }

  /** As the origin has it now; while it is away, as a neighbour serves it. */
  async #pin(request: ImageAddRequest, signal: AbortSignal | undefined): Promise<ImageRecord> {
    const { pinner, recordFromPeers, log } = this.#options;
    try {
      return await pinner.pin(request, signal);
    } catch (error) {
      const record =
        errorCode(error) === 'ERR_ORIGIN_UNAVAILABLE' ? await recordFromPeers?.(request, (name) => this.find(name)?.record) : undefined;
      if (record === undefined) throw error;
      log.warn({ image: request.name, reason: errorMessage(error) }, 'its origin is away: the image is served as a neighbour has it');
      const { generation: _generation, ...adopted } = record;
      return { ...adopted, deadlineMs: request.deadlineMs };
    }
  }

  /** @throws CopseError `ERR_IMAGE_IN_USE` while clients are attached or other images are built on it */
  remove(name: string): Promise<void> {
    return this.#change(name, async () => {
      const image = this.get(name);
      this.#refuseUsed(image);
      const records = this.images.map(({ record }) => record);
      const disks = this.#options.disksOver?.(name, records) ?? [];
      if (disks.length > 0) {
        throw new CopseError('ERR_IMAGE_IN_USE', `image "${name}" lies below disk "${disks.join('", "')}": remove that first`);
      }
      this.#options.files?.mark(image.record.content);
      await this.#options.catalog.remove(name);
      this.#served.delete(name);
      await image.lease.release({ forget: true });
      // Another sweep may have found the image in the catalog still.
      this.#options.files?.mark(image.record.content);
      await this.#options.files?.sweep();
    });
  }

  /**
   * Gives an image another name. A crash in between leaves both names, and the same command goes on from there.
   *
   * @throws CopseError `ERR_NAME`, `ERR_IMAGE_EXISTS`; `ERR_IMAGE_IN_USE` while clients are attached or other images are built on it
   */
  rename(name: string, newName: string): Promise<ServedImage> {
    const { names, catalog } = this.#options;
    return names.claim(checkExportName(newName), 'image', () => {
      // In one order, so that two renames never wait for each other.
      const [first, second] = name < newName ? [name, newName] : [newName, name];
      const rename = async (): Promise<ServedImage> => {
        const image = this.get(name);
        if (name === newName) return image;
        this.#refuseUsed(image);
        const { generation: _generation, ...record } = image.record;
        const made = this.#served.get(newName);
        const isCopy = made?.record.pinnedAt === record.pinnedAt && contentId(made.record.content) === contentId(record.content);
        if (!isCopy) await this.refuseTaken(newName);
        const renamed = made ?? (await this.#serve(await catalog.put({ ...record, name: newName }), image.metrics));
        await catalog.remove(name);
        this.#served.delete(name);
        await image.lease.release();
        return renamed;
      };
      return this.#change(first, () => (first === second ? rename() : this.#change(second, rename)));
    });
  }

  /** @throws CopseError `ERR_IMAGE_IN_USE` */
  #refuseUsed({ record: { name }, metrics: { connections } }: ServedImage): void {
    if (connections > 0) {
      throw new CopseError(
        'ERR_IMAGE_IN_USE',
        `image "${name}" has ${connections} client${connections === 1 ? '' : 's'} attached: detach them first`,
      );
    }
    const remote = this.#options.attachedAt?.(name) ?? [];
    if (remote.length > 0) {
      throw new CopseError('ERR_IMAGE_IN_USE', `image "${name}" has clients attached at ${remote.join(', ')}: detach them first`);
    }
    const user = this.images.find(({ record }) => Object.values(record.backingImages ?? {}).includes(name));
    if (user !== undefined) {
      throw new CopseError('ERR_IMAGE_IN_USE', `image "${name}" is a backing file of image "${user.record.name}": remove that first`);
    }
  }

  /** Moves the name to what its origin has now. */
  repin(name: string, signal?: AbortSignal): Promise<ServedImage> {
    return this.#change(name, async () => {
      const image = this.get(name);
      const { record, metrics, lease } = image;
      const next = await this.#options.pinner.pin(requestOf(record), signal);
      if (contentId(next.content) === contentId(record.content)) return image;
      const served = await this.#serve(await this.#options.catalog.put(next), metrics);
      await lease.release();
      return served;
    });
  }

  /** Reads the tables that were too large when the image was added. */
  async #checkContainer(image: ServedImage, signal: AbortSignal | undefined): Promise<void> {
    const { record } = image;
    if (record.content.format === 'raw' || record.container === 'whole') return;
    const { content, container } = await this.#options.pinner.pin({ ...requestOf(record), deep: true }, signal);
    if (contentId(content) !== contentId(record.content)) return;
    image.record = await this.#options.catalog.put({ ...record, container });
  }

  /** The deadline is no part of what an image is: new connections have the new one. */
  async #setDeadline(image: ServedImage, deadlineMs: number | undefined): Promise<ServedImage> {
    if (deadlineMs !== undefined && deadlineMs !== image.record.deadlineMs) {
      image.record = await this.#options.catalog.put({ ...image.record, deadlineMs });
    }
    return image;
  }

  /** Another node has added, removed or repinned an image. */
  async #follow(name: string): Promise<void> {
    try {
      await this.#settle(name);
    } catch (error) {
      this.#options.log.error(
        { image: name, code: errorCode(error), reason: errorMessage(error) },
        'what another node changed of this image is not served here',
      );
    }
  }

  /** Serves a name as the catalog has it. Clients keep what they are attached to. */
  #settle(name: string): Promise<void> {
    return this.#change(name, async () => {
      const record = this.#options.catalog.get(name);
      const image = this.#served.get(name);
      if (record === undefined) {
        this.#served.delete(name);
        if (image !== undefined) this.#options.files?.mark(image.record.content);
        await image?.lease.release({ forget: true });
        await this.#options.files?.sweep();
      } else if (image === undefined) {
        await this.#serve(record, createExportMetrics());
      } else if (contentId(record.content) === contentId(image.record.content) && record.share === image.record.share) {
        image.record = record;
      } else {
        await this.#serve(record, image.metrics);
        await image.lease.release();
      }
    });
  }

  async #serve(record: ImageRecord, metrics: ExportMetrics): Promise<ServedImage> {
    const lease = await this.#options.pool.lease(record.content, record.share);
    const image = { record, lease, metrics };
    this.#served.set(record.name, image);
    return image;
  }

  #change<T>(name: string, change: () => Promise<T>): Promise<T> {
    const done = (this.#changes.get(name) ?? Promise.resolve()).then(change, change);
    this.#changes.set(name, done);
    const forget = (): void => {
      if (this.#changes.get(name) === done) this.#changes.delete(name);
    };
    done.then(forget, forget);
    return done;
  }
}

function describe(record: ImageRecord): string {
  return `${record.content.format} image, pinned ${record.pinnedAt}`;
}
