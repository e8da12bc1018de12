/**
 * The files of contents in the cache directory: which store has them, and what becomes of them
 * when a content closes.
 *
 * A content without a name leaves an orphan: a store that is known to the cache's space, evicted
 * before all others, and readable by no client. Opening the content again takes the orphan away.
 *
 * Invariant: at most one store has the files of a content. `vacate` makes every opening wait for
 * the store before it.
 */
import { readdirSync } from 'node:fs';
import { errorMessage } from '../base/error.js';
import type { Logger } from '../base/log.js';
import type { CacheSpace } from '../cache/evict/cache-space.js';
import { ChunkStore } from '../cache/store/chunk-store.js';
import { readMapHeader } from '../cache/store/map-header.js';
import { removeStoreFiles } from '../cache/store/store-files.js';
import { contentPaths } from './content.js';

export class ContentFiles {
  readonly #cacheDir: string;
  readonly #space: CacheSpace;
  readonly #log: Logger;
  readonly #orphans = new Map<string, ChunkStore>();
  /** Stores that are being closed, by content id. */
  readonly #closing = new Map<string, Promise<void>>();

  constructor(options: { cacheDir: string; space: CacheSpace; log: Logger }) {
    this.#cacheDir = options.cacheDir;
    this.#space = options.space;
    this.#log = options.log;
  }

  get orphans(): Iterable<ChunkStore> {
    return this.#orphans.values();
  }

  /** Makes orphans of all files whose content id is not among `knownIds`. */
  adoptOrphans(knownIds: ReadonlySet<string>): void {
    for (const file of readdirSync(this.#cacheDir)) {
      const id = /^([0-9a-f]{32})\.map$/.exec(file)?.[1];
      if (id !== undefined && !knownIds.has(id)) this.#orphan(id);
    }
  }

  /**
   * Returns the close that has to end before a content's files can be opened, or `undefined`. After
   * it ended, call again: another opening may have been quicker.
   */
  vacate(id: string): Promise<void> | undefined {
    const store = this.#orphans.get(id);
    if (store === undefined) return this.#closing.get(id);
    this.#orphans.delete(id);
    this.#space.remove(store);
    return this.#track(id, store.close());
  }

  /**
   * Takes the files back from a content that closes. Never rejects.
   *
   * @param closed resolves when the content's store is closed
   * @param fate what becomes of the files; `keep` leaves them to the next start of the daemon
   */
  giveBack(id: string, closed: Promise<void>, fate: 'remove' | 'orphan' | 'keep'): Promise<void> {
    return this.#track(id, closed, () => {
      if (fate === 'remove') removeStoreFiles(contentPaths(this.#cacheDir, id));
      else if (fate === 'orphan') this.#orphan(id);
    });
  }

  /** Closes all orphans; resolves when no store is open or being closed. */
  async close(): Promise<void> {
    for (const [id, store] of this.#orphans) await this.#track(id, store.close());
    this.#orphans.clear();
    await Promise.all(this.#closing.values());
  }

  /** Leaves the stored chunks of a content to the cache's space. */
  #orphan(id: string): void {
    const paths = contentPaths(this.#cacheDir, id);
    try {
      const header = readMapHeader(paths.mapPath);
      if (header === undefined) {
        removeStoreFiles(paths);
        return;
      }
      const { sizeBytes, chunkBytes, recordSeed } = header;
      const store = new ChunkStore({ ...paths, sizeBytes, chunkBytes, recordSeed });
      this.#orphans.set(id, store);
      this.#space.addOrphan(store, () => {
        this.#orphans.delete(id);
        void this.#track(id, store.close(), () => removeStoreFiles(paths));
      });
    } catch (error) {
      this.#log.error({ file: paths.mapPath, reason: errorMessage(error) }, 'cached chunks of no image can neither be used nor removed');
    }
  }

  /**
   * Keeps other stores from the files until `closed` has settled and `then` has run. Never rejects.
   */
  #track(id: string, closed: Promise<void>, then: () => void = () => {}): Promise<void> {
    const closing = closed
      .catch((error: unknown) => {
        // Chunks that could not be synced are verified before they are served again.
        this.#log.error({ content: id, reason: errorMessage(error) }, 'cached content did not close cleanly');
      })
      .then(() => {
        this.#closing.delete(id);
        then();
      });
    this.#closing.set(id, closing);
    return closing;
  }
}
