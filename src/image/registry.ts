/**
 * The images of this node by name: the NBD server's exports, and the commands of operators.
 *
 * Invariants: the catalog is durable before a change is visible. An image in use is neither removed
 * nor renamed: a client is attached to it, another image is built on it, or a disk lies over it.
 */

import type { ImageAddRequest } from '../admin/schema-image.js';
import { checkChunkSize } from '../base/chunk-size.js';
import { CopseError, errorCode, errorMessage } from '../base/error.js';
import { checkExportName } from '../base/export-name.js';
import { type ExportNames, takenError } from '../catalog/export-names.js';
import { contentId, type ImageRecord } from '../catalog/image-record.js';
import type { Export, ExportView } from '../server/export.js';
import { createExportMetrics } from '../server/export-metrics.js';
import type { ImagePinner } from './pinner.js';
import { differenceOf, requestOf } from './request.js';
import { type ServedImage, ServedImages, type ServedImagesOptions } from './served-images.js';

export type { ServedImage } from './served-images.js';

export interface ImageRegistryOptions extends ServedImagesOptions {
  pinner: ImagePinner;
  /** Deadline per request of images that set none, in ms; 0 means none. */
  defaultDeadlineMs: number;
  /**
   * Returns the record by which a neighbour serves the same image; for origins that can't be asked.
   * `recordOf` finds this node's own record of a name.
   */
  recordFromPeers?:
    | ((request: ImageAddRequest, recordOf: (name: string) => ImageRecord | undefined) => Promise<ImageRecord | undefined>)
    | undefined;
  /** Lists the other nodes at which clients are attached to an image; for a shared catalog. */
  attachedAt?: ((name: string) => string[]) | undefined;
  /** Lists the names of the disks over an image, given the records of all images. */
  disksOver?: ((name: string, images: readonly ImageRecord[]) => string[]) | undefined;
  names: ExportNames;
  /** Resolves to true if a disk has the name, here or on another node. */
  isDisk?: ((name: string) => Promise<boolean>) | undefined;
}

export class ImageRegistry {
  readonly #options: ImageRegistryOptions;
  readonly #served: ServedImages;

  constructor(options: ImageRegistryOptions) {
    this.#options = options;
    this.#served = new ServedImages(options);
  }

  /** Images sorted by name. */
  get images(): readonly ServedImage[] {
    return this.#served.images;
  }

  find(name: string): ServedImage | undefined {
    return this.#served.find(name);
  }

  /** @throws CopseError `ERR_NO_SUCH_IMAGE` */
  get(name: string): ServedImage {
    return this.#served.get(name);
  }

  /** True if an image has the name, even one that is not served at present. */
  has(name: string): boolean {
    return this.#served.has(name) || this.#options.catalog.get(name) !== undefined;
  }

  /** Serves the images of the catalog; see `ServedImages.start`. */
  start(): Promise<void> {
    return this.#served.start();
  }

  deadlineMsOf(record: ImageRecord): number {
    return record.deadlineMs ?? this.#options.defaultDeadlineMs;
  }

  *list(): Iterable<{ name: string; description: string }> {
    for (const { record } of this.images) yield { name: record.name, description: describe(record) };
  }

  exportCount(): number {
    return this.#served.count;
  }

  view(name: string): ExportView | undefined {
    const image = this.#served.find(name);
    return image && { name, description: describe(image.record), device: image.lease.content.device };
  }

  async open(name: string): Promise<Export | undefined> {
    const image = this.#served.find(name);
    if (image === undefined) return undefined;
    const { record, metrics } = image;
    const lease = await this.#options.pool.lease(record.content, record.share);
    const release = (): void => void lease.release();
    return { name, description: describe(record), device: lease.content.device, deadlineMs: this.deadlineMsOf(record), metrics, release };
  }

  /** Pins and serves a new image. Adding the same image again changes at most its deadline. */
  add(request: ImageAddRequest, signal?: AbortSignal): Promise<ServedImage> {
    return this.#served.change(request.name, async () => {
      if (request.chunkSizeBytes !== undefined) checkChunkSize(request.chunkSizeBytes);
      const existing = this.#served.find(request.name);
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
      // An existing name keeps working, even one that the check refuses today.
      checkExportName(request.name);
      return this.#options.names.claim(request.name, 'image', async () => {
        await this.refuseTaken(request.name);
        const record = await this.#options.catalog.put(await this.#pin(request, signal));
        return this.#served.serve(record, createExportMetrics());
      });
    });
  }

  /**
   * Refuses a name that an image or a disk has. The caller has claimed the name.
   *
   * @throws CopseError `ERR_IMAGE_EXISTS`
   */
  async refuseTaken(name: string): Promise<void> {
    if (this.#served.has(name)) {
      throw new CopseError('ERR_IMAGE_EXISTS', `there is an image "${name}" already: choose another name, or remove it first`);
    }
    if (await this.#options.isDisk?.(name)) throw takenError(name, 'image');
  }

  /**
   * Pins the image as the origin has it now, or as a neighbour serves it while the origin is away.
   */
  async #pin(request: ImageAddRequest, signal: AbortSignal | undefined): Promise<ImageRecord> {
    const { pinner, recordFromPeers, log } = this.#options;
    try {
      return await pinner.pin(request, signal);
    } catch (error) {
      const record =
        errorCode(error) === 'ERR_ORIGIN_UNAVAILABLE' ? await recordFromPeers?.(request, (name) => this.find(name)?.record) : undefined;
      if (record === undefined) throw error;
      log.warn(
        { image: request.name, reason: errorMessage(error) },
        'the origin is away: this node serves the image as a neighbour has it',
      );
      const { generation: _generation, ...adopted } = record;
      return { ...adopted, deadlineMs: request.deadlineMs };
    }
  }

  /**
   * @throws CopseError `ERR_IMAGE_IN_USE` while clients are attached or other images are built on
   * it
   */
  remove(name: string): Promise<void> {
    return this.#served.change(name, async () => {
      const image = this.get(name);
      this.#refuseUsed(image);
      const records = this.images.map(({ record }) => record);
      const disks = this.#options.disksOver?.(name, records) ?? [];
      if (disks.length > 0) {
        throw new CopseError('ERR_IMAGE_IN_USE', `image "${name}" lies below disk "${disks.join('", "')}": remove that first`);
      }
      this.#options.files?.mark(image.record.content);
      await this.#options.catalog.remove(name);
      this.#served.withdraw(name);
      await image.lease.release({ forget: true });
      // A sweep before this line may still have found the image in the catalog.
      this.#options.files?.mark(image.record.content);
      await this.#options.files?.sweep();
    });
  }

  /**
   * Gives an image another name. A crash in between leaves both names, and the same command
   * completes the change.
   *
   * @throws CopseError `ERR_NAME`, `ERR_IMAGE_EXISTS`; `ERR_IMAGE_IN_USE` while clients are
   * attached or other images are built on it
   */
  rename(name: string, newName: string): Promise<ServedImage> {
    const { names, catalog } = this.#options;
    return names.claim(checkExportName(newName), 'image', () => {
      // All renames take the two names in one order, so that two of them never wait for each other.
      const [first, second] = name < newName ? [name, newName] : [newName, name];
      const rename = async (): Promise<ServedImage> => {
        const image = this.get(name);
        if (name === newName) return image;
        this.#refuseUsed(image);
        const { generation: _generation, ...record } = image.record;
        const made = this.#served.find(newName);
        const isCopy = made?.record.pinnedAt === record.pinnedAt && contentId(made.record.content) === contentId(record.content);
        if (!isCopy) await this.refuseTaken(newName);
        const renamed = made ?? (await this.#served.serve(await catalog.put({ ...record, name: newName }), image.metrics));
        await catalog.remove(name);
        this.#served.withdraw(name);
        await image.lease.release();
        return renamed;
      };
      return this.#served.change(first, () => (first === second ? rename() : this.#served.change(second, rename)));
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

  /** Moves the name to the present content of its origin. */
  repin(name: string, signal?: AbortSignal): Promise<ServedImage> {
    return this.#served.change(name, async () => {
      const image = this.get(name);
      const { record, metrics, lease } = image;
      const next = await this.#options.pinner.pin(requestOf(record), signal);
      if (contentId(next.content) === contentId(record.content)) return image;
      const served = await this.#served.serve(await this.#options.catalog.put(next), metrics);
      await lease.release();
      return served;
    });
  }

  /** Checks the container's tables that were too large to check when the image was added. */
  async #checkContainer(image: ServedImage, signal: AbortSignal | undefined): Promise<void> {
    const { record } = image;
    if (record.content.format === 'raw' || record.container === 'whole') return;
    const { content, container } = await this.#options.pinner.pin({ ...requestOf(record), deep: true }, signal);
    if (contentId(content) !== contentId(record.content)) return;
    image.record = await this.#options.catalog.put({ ...record, container });
  }

  /** Changes the deadline of new connections. It is no part of an image's identity. */
  async #setDeadline(image: ServedImage, deadlineMs: number | undefined): Promise<ServedImage> {
    if (deadlineMs !== undefined && deadlineMs !== image.record.deadlineMs) {
      image.record = await this.#options.catalog.put({ ...image.record, deadlineMs });
    }
    return image;
  }
}

function describe(record: ImageRecord): string {
  return `${record.content.format} image, pinned ${record.pinnedAt}`;
}
