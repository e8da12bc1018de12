/**
 * Contents of images by name, held for the length of a job.
 *
 * Invariant: the content stays open for the job, though the image may be removed or repinned
 * meanwhile.
 */
import { type ContentSpec, containerSpec } from '../../catalog/image-record.js';
import type { Content } from '../../image/content.js';
import type { ContentPool } from '../../image/content-pool.js';
import type { ImageRegistry } from '../../image/registry.js';

type Work<T> = (content: Content, deadlineMs: number) => Promise<T>;

export class LeasedContents {
  readonly registry: ImageRegistry;
  readonly #pool: ContentPool;

  constructor(registry: ImageRegistry, pool: ContentPool) {
    this.registry = registry;
    this.#pool = pool;
  }

  /** The image as guests read it. @throws CopseError `ERR_NO_SUCH_IMAGE` */
  async withDecoded<T>(name: string, work: Work<T>): Promise<T> {
    const { record } = this.registry.get(name);
    return this.#with(record.content, record.share, (content) => work(content, this.registry.deadlineMsOf(record)));
  }

  /**
   * The container of a foreign format, which is sealed and shared; a raw image itself. @throws
   * CopseError `ERR_NO_SUCH_IMAGE`
   */
  async withContainer<T>(name: string, work: Work<T>): Promise<T> {
    const { record } = this.registry.get(name);
    return this.withContainerOf(record, (content) => work(content, this.registry.deadlineMsOf(record)));
  }

  /** The same for an image that a disk's record names, which may have left the catalog. */
  async withContainerOf<T>(
    { content, share }: { content: ContentSpec; share?: Parameters<ContentPool['lease']>[1] },
    work: (content: Content) => Promise<T>,
  ): Promise<T> {
    return this.#with(containerSpec(content), share, work);
  }

  async #with<T>(spec: ContentSpec, share: Parameters<ContentPool['lease']>[1], work: (content: Content) => Promise<T>): Promise<T> {
    const lease = await this.#pool.lease(spec, share);
    try {
      return await work(lease.content);
    } finally {
      await lease.release();
    }
  }
}
