/**
 * Adds the images of the configuration to the registry.
 *
 * An image that can't be added must not delay the others. It is logged, and tried again while its
 * origin is away. The start fails only if nothing at all would be served. Images that the catalog
 * has already ask no origin.
 */
import { systemClock } from '../base/clock.js';
import { errorCode, errorMessage } from '../base/error.js';
import type { Logger } from '../base/log.js';
import type { ConfiguredImage } from '../config/schema.js';
import type { ImageRegistry } from './registry.js';

const retryMs = 30_000;

export class ConfiguredImages {
  readonly #images: readonly ConfiguredImage[];
  readonly #registry: ImageRegistry;
  readonly #log: Logger;
  readonly #closed = new AbortController();
  readonly #cancels = new Map<ConfiguredImage, () => void>();

  constructor(images: readonly ConfiguredImage[], registry: ImageRegistry, log: Logger) {
    this.#images = images;
    this.#registry = registry;
    this.#log = log;
  }

  /**
   * Tries each image once.
   *
   * @throws the first failure if nothing at all is served, disks included
   */
  async start(isServing: () => boolean): Promise<void> {
    // Images of backing files come first, in any order. The others follow side by side, since each
    // may wait for its origin.
    const isBuiltOnOthers = (image: ConfiguredImage): boolean => Object.keys(image.backing ?? {}).length > 0;
    const failures = await Promise.all(this.#images.filter((image) => !isBuiltOnOthers(image)).map((image) => this.#add(image)));
    for (const image of this.#images.filter(isBuiltOnOthers)) failures.push(await this.#add(image));
    const failure = failures.find((error) => error !== undefined);
    if (failure !== undefined && !isServing()) throw failure;
  }

  close(): void {
    this.#closed.abort();
    for (const cancel of this.#cancels.values()) cancel();
  }

  /** Resolves to the error, if there was one. */
  async #add(image: ConfiguredImage): Promise<unknown> {
    try {
      await this.#registry.add(image, this.#closed.signal);
      return undefined;
    } catch (error) {
      if (this.#closed.signal.aborted) return error;
      const retry = ['ERR_ORIGIN_UNAVAILABLE', 'ERR_ETCD_UNAVAILABLE', 'ERR_DEADLINE'].includes(errorCode(error));
      this.#log.error(
        { image: image.name, code: errorCode(error), reason: errorMessage(error), retryMs: retry ? retryMs : undefined },
        'an image is not served as the configuration demands',
      );
      if (retry)
        this.#cancels.set(
          image,
          systemClock.after(retryMs, () => void this.#add(image)),
        );
      return error;
    }
  }
}
