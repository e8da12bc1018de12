/** A chunk cache over a scripted source, a real store that can be made to fail, and a clock that stands still. */
import { join } from 'node:path';
import { pino } from 'pino';
import type { Test } from 'tap';
import { Budget } from '../../src/base/budget.js';
import { BufferPools } from '../../src/cache/buffer-pool.js';
import { ChunkCache } from '../../src/cache/chunk-cache.js';
import { CacheSpace } from '../../src/cache/evict/cache-space.js';
import type { FetchLimits } from '../../src/cache/fetch-queue.js';
import { pattern } from '../conformance/content.js';
import { FaultyStore } from './faulty-store.js';
import { ManualClock } from './manual-clock.js';
import { ScriptedSource } from './scripted-source.js';

export const chunkBytes = 16 * 1024;

export interface SubjectOptions {
  chunkCount?: number;
  /** Bytes of the last chunk. */
  tailBytes?: number;
  content?: Buffer;
  folder?: string;
  memoryBytes?: number;
  memory?: Budget;
  limits?: Partial<FetchLimits>;
  readaheadChunks?: number;
  deadlineMs?: number;
  budgetBytes?: number;
  minFreeBytes?: number;
  freeBytes?: () => Promise<number>;
  space?: CacheSpace;
}

export interface Subject {
  cache: ChunkCache;
  store: FaultyStore;
  space: CacheSpace;
  source: ScriptedSource;
  memory: Budget;
  clock: ManualClock;
  /** Parsed lines of the log. */
  log: { level: number; msg: string; state?: string }[];
  folder: string;
  /** Reads through the cache and compares. */
  expect(t: Test, offset: number, lengthBytes: number): Promise<void>;
}

/** Where a store's files lie in a test's folder. */
export function storePaths(folder: string): { dataPath: string; mapPath: string } {
  return { dataPath: join(folder, 'data'), mapPath: join(folder, 'map') };
}

export const recordSeed = 0xdeadbeef;

export function openStore(folder: string, sizeBytes: number): FaultyStore {
  return new FaultyStore({ ...storePaths(folder), sizeBytes, chunkBytes, recordSeed });
}

/** Closed with the test. */
export function open(t: Test, options: SubjectOptions = {}): Subject {
  // Before the folder is made: tap removes that before it calls what was registered later.
  let close = async (): Promise<void> => {};
  t.teardown(() => close());
  const { chunkCount = 16, tailBytes = chunkBytes, folder = t.testdir({}) } = options;
  const content = options.content ?? pattern((chunkCount - 1) * chunkBytes + tailBytes);
  const clock = new ManualClock();
  const lines: Subject['log'] = [];
  const log = pino({ level: 'info', base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const store = openStore(folder, content.length);
  const space =
    options.space ??
    new CacheSpace({
      path: folder,
      budgetBytes: options.budgetBytes ?? 2 ** 40,
      minFreeBytes: options.minFreeBytes ?? 0,
      clock,
      log,
      freeBytes: options.freeBytes ?? (() => Promise.resolve(2 ** 50)),
    });
  space.add(store);
  const source = new ScriptedSource(content);
  const memory = options.memory ?? new Budget(options.memoryBytes ?? 64 * chunkBytes);
  const cache = new ChunkCache({
    name: 'image',
    store,
    source,
    space,
    memory,
    buffers: new BufferPools(1024 * 1024),
    limits: { demandRequests: 8, prefetchRequests: 4, maxRunChunks: 4, ...options.limits },
    readaheadBytes: (options.readaheadChunks ?? 0) * chunkBytes,
    deadlineMs: options.deadlineMs ?? 0,
    clock,
    log,
  });
  close = async () => {
    await cache.close();
    space.close();
  };
  return {
    cache,
    store,
    space,
    source,
    memory,
    clock,
    log: lines,
    folder,
    expect: async (t, offset, lengthBytes) => {
      const target = Buffer.alloc(lengthBytes, 0x55);
      await cache.read(target, offset);
      t.ok(target.equals(content.subarray(offset, offset + lengthBytes)), `right bytes at ${offset}, ${lengthBytes} long`);
    },
  };
}

/** Resolves after everything that is ready to run now, and what that makes ready for the next turns, has run. */
export async function turns(count = 3): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
