/**
 * The product's own eviction as a policy to replay: `CacheSpace`, `ChunkStore` and the addon as they are, over chunks of a page, so that a replay writes little.
 */
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { systemClock } from '../../../src/base/clock.js';
import { ChunkState } from '../../../src/base/native/chunk.js';
import { CacheSpace } from '../../../src/cache/evict/cache-space.js';
import { ChunkStore } from '../../../src/cache/store/chunk-store.js';
import type { Mix } from './mix.js';
import type { ReplayPolicy } from './policy.js';

const pageBytes = 4096;
const page = Buffer.alloc(pageBytes, 1);
const target = Buffer.alloc(8);

export class Shipped implements ReplayPolicy {
  readonly #folder: string;
  readonly #space: CacheSpace;
  readonly #stores: ChunkStore[];
  readonly #chunkCount: number;

  /** @param parentDir best on a tmpfs: nothing is measured but what is kept, and each eviction syncs */
  constructor(capacity: number, mix: Mix, parentDir: string) {
    this.#chunkCount = mix.chunkCount;
    this.#folder = mkdtempSync(join(parentDir, 'copse-eviction-'));
    this.#space = new CacheSpace({
      path: this.#folder,
      budgetBytes: capacity * pageBytes,
      minFreeBytes: 0,
      clock: systemClock,
      log: pino({ level: 'silent' }),
      freeBytes: () => Promise.resolve(2 ** 50),
    });
    this.#stores = Array.from({ length: mix.imageCount }, (_, image) => {
      const paths = { dataPath: join(this.#folder, `${image}.data`), mapPath: join(this.#folder, `${image}.map`) };
      const store = new ChunkStore({ ...paths, sizeBytes: mix.chunkCount * pageBytes, chunkBytes: pageBytes, recordSeed: image });
      this.#space.add(store);
      return store;
    });
  }

  has(chunk: number): boolean {
    return this.#storeOf(chunk).state(chunk % this.#chunkCount) !== ChunkState.absent;
  }

  use(chunk: number): void {
    // Marks the chunk, whether or not the file system can read without waiting.
    this.#storeOf(chunk).readNow(target, 0, target.length, (chunk % this.#chunkCount) * pageBytes);
  }

  insert(chunk: number): Promise<void> {
    const store = this.#storeOf(chunk);
    return this.#space.use(pageBytes, () => store.store(chunk % this.#chunkCount, page));
  }

  async close(): Promise<void> {
    this.#space.close();
    await Promise.all(this.#stores.map((store) => store.close()));
    await rm(this.#folder, { recursive: true });
  }

  #storeOf(chunk: number): ChunkStore {
    const store = this.#stores[Math.floor(chunk / this.#chunkCount)];
    if (store === undefined) throw new RangeError(`no image has chunk ${chunk}`);
    return store;
  }
}
