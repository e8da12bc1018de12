/** What goes first: orphans, then copies of what other nodes are home of, then the rest; second chance inside each class. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { ChunkState } from '../../../src/base/native/chunk.js';
import { Eviction } from '../../../src/cache/evict/eviction.js';
import { ChunkStore } from '../../../src/cache/store/chunk-store.js';
import { pattern } from '../../conformance/content.js';
import { chunkBytes, recordSeed, storePaths } from '../subject.js';

const bytes = pattern(chunkBytes);

/** A real store, but for pins, which real reads hold for as long as a thread likes. */
class PinnableStore extends ChunkStore {
  readonly pinned = new Set<number>();

  get held(): number[] {
    return Array.from({ length: this.chunkCount }, (_, index) => index).filter((index) => this.state(index) !== ChunkState.absent);
  }

  override sweep(handIndex: number, maxScan: number, maxCount: number): Uint32Array {
    return super.sweep(handIndex, maxScan, maxCount).filter((chunk, index) => index === 0 || !this.pinned.has(chunk));
  }

  async fill(first: number, count = 1): Promise<void> {
    for (let chunk = first; chunk < first + count; chunk += 1) await this.store(chunk, bytes);
  }

  /** As a guest does, in part. */
  async use(...chunks: number[]): Promise<void> {
    for (const chunk of chunks) await this.read(Buffer.alloc(8), 0, 8, chunk * chunkBytes);
  }
}

let folderCount = 0;
function opener(t: Test): (chunkCount: number) => PinnableStore {
  const folder = t.testdirName;
  t.testdir({});
  const stores: PinnableStore[] = [];
  t.teardown(() => Promise.all(stores.map((store) => store.close())));
  return (chunkCount) => {
    const path = join(folder, String(folderCount));
    folderCount += 1;
    mkdirSync(path);
    const store = new PinnableStore({ ...storePaths(path), sizeBytes: chunkCount * chunkBytes, chunkBytes, recordSeed });
    stores.push(store);
    return store;
  };
}

/** Evicts `count` chunks; the chunks that went, in their order. */
async function evict(eviction: Eviction, count: number): Promise<[store: ChunkStore, chunkIndex: number][]> {
  const gone: [ChunkStore, number][] = [];
  let wantedBytes = count * chunkBytes;
  await eviction.evict({
    wantedBytes: () => wantedBytes,
    free: async (store, chunkIndices) => {
      for (const chunkIndex of chunkIndices) gone.push([store, chunkIndex]);
      wantedBytes -= await store.evict(chunkIndices);
    },
  });
  return gone;
}

const isEven = (chunkIndex: number): boolean => chunkIndex % 2 === 0;

t.test('copies of all stores go before a home chunk of any, used or not', async (t) => {
  const open = opener(t);
  const [first, second, third] = [open(8), open(8), open(8)];
  const eviction = new Eviction();
  eviction.add(first, { isHome: isEven });
  eviction.add(second, { isHome: isEven });
  eviction.add(third);
  for (const store of [first, second, third]) await store.fill(0, 8);
  await first.use(1, 3, 5, 7);
  const gone = await evict(eviction, 8);
  t.same(gone.map(([, chunk]) => chunk).filter(isEven), []);
  t.same(first.held, [0, 2, 4, 6]);
  t.same(second.held, [0, 2, 4, 6]);
  t.equal(third.held.length, 8, 'what is not shared has no home elsewhere');
  t.equal((await evict(eviction, 100)).length, 16, 'and then all others');
  t.same(
    [first, second, third].map((store) => store.dataBytes),
    [0, 0, 0],
  );
});

t.test('a used copy goes after the unused ones', async (t) => {
  const store = opener(t)(16);
  const eviction = new Eviction();
  eviction.add(store, { isHome: isEven });
  await store.fill(0, 16);
  await store.use(1, 9, 0);
  t.same(
    (await evict(eviction, 6)).map(([, chunk]) => chunk).sort((a, b) => a - b),
    [3, 5, 7, 11, 13, 15],
  );
  await evict(eviction, 2);
  t.same(store.held, [0, 2, 4, 6, 8, 10, 12, 14]);
  t.same(
    (await evict(eviction, 7)).map(([, chunk]) => chunk),
    [2, 4, 6, 8, 10, 12, 14],
    'looking for copies has cost no home chunk its second chance',
  );
});

t.test('what is pinned stays, and is not waited for: the next class has to give', async (t) => {
  const store = opener(t)(8);
  const eviction = new Eviction();
  eviction.add(store, { isHome: isEven });
  await store.fill(0, 8);
  store.pinned.add(3).add(4);
  await evict(eviction, 5);
  t.same(
    store.held.filter((chunk) => !isEven(chunk)),
    [3],
  );
  await evict(eviction, 100);
  t.same(store.held, [3, 4]);
  store.pinned.clear();
  await evict(eviction, 1);
  t.same(store.held, [4]);
});

t.test('who is home may change between two evictions', async (t) => {
  const store = opener(t)(8);
  const eviction = new Eviction();
  let home = isEven;
  eviction.add(store, { isHome: (chunk) => home(chunk) });
  await store.fill(0, 8);
  await evict(eviction, 2);
  t.equal(store.held.filter(isEven).length, 4);
  home = (chunk) => !isEven(chunk);
  await evict(eviction, 4);
  t.equal(store.held.filter(isEven).length, 0);
  t.equal(store.held.length, 2);
});

t.test('chunks that are read again and again go all the same, when there is nothing else', async (t) => {
  const store = opener(t)(4);
  const eviction = new Eviction();
  eviction.add(store);
  await store.fill(0, 4);
  const target = Buffer.alloc(chunkBytes);
  const useAll = (): void => {
    for (let chunk = 0; chunk < 4; chunk += 1) store.readNow(target, 0, chunkBytes, chunk * chunkBytes);
  };
  useAll();
  t.same([...store.sweep(0, 4, 4)], [0], 'they are marked by that');
  useAll();
  const { sweep } = store;
  store.sweep = (...scan) => {
    queueMicrotask(useAll);
    return sweep.apply(store, scan);
  };
  await evict(eviction, 4);
  t.equal(store.dataBytes, 0);
});

t.test('orphans go first, copies next, and each orphan is told of its end', async (t) => {
  const open = opener(t);
  const [shared, orphan, empty, none] = [open(8), open(4), open(4), open(0)];
  const ended: ChunkStore[] = [];
  const eviction = new Eviction();
  eviction.add(shared, { isHome: isEven });
  for (const store of [orphan, empty, none]) eviction.addOrphan(store, () => ended.push(store));
  await shared.fill(0, 8);
  await orphan.fill(0, 4);
  await orphan.use(0, 1, 2, 3);
  const gone = await evict(eviction, 6);
  t.same(
    gone.slice(0, 4).map(([store]) => store === orphan),
    [true, true, true, true],
  );
  t.same(shared.held.filter((chunk) => !isEven(chunk)).length, 2);
  t.same(new Set(ended), new Set([orphan, empty, none]));
  t.equal(ended.length, 3);
  t.ok(
    (await evict(eviction, 2)).every(([store]) => store === shared),
    'nothing else is left',
  );
});

t.test('what is wanted anew after there was enough begins with the first class again', async (t) => {
  const open = opener(t);
  const [named, orphan] = [open(4), open(4)];
  const eviction = new Eviction();
  eviction.add(named);
  eviction.addOrphan(orphan, () => {});
  for (const store of [named, orphan]) await store.fill(0, 4);
  // One chunk is wanted, then none, then more again: by the time that the next class would be looked at.
  const wanted = [1, 0, 1, 1, 1, 1, 1, 1];
  await eviction.evict({
    wantedBytes: () => (wanted.shift() ?? 0) * chunkBytes,
    free: async (store, chunkIndices) => void (await store.evict(chunkIndices)),
  });
  t.same(orphan.held, [1, 2, 3]);
  t.equal(named.held.length, 4);
});

t.test('stores come and go under the hand', async (t) => {
  const open = opener(t);
  const [first, second, third] = [open(4), open(4), open(4)];
  const eviction = new Eviction();
  for (const store of [first, second, third]) {
    eviction.add(store, { isHome: isEven });
    await store.fill(0, 4);
  }
  await evict(eviction, 3);
  eviction.remove(second);
  eviction.remove(second);
  await evict(eviction, 1);
  t.equal(first.dataBytes + third.dataBytes, 5 * chunkBytes);
  eviction.remove(third);
  eviction.remove(first);
  t.same(await evict(eviction, 1), []);
  eviction.add(second);
  const left = second.held.length;
  t.equal((await evict(eviction, 100)).length, left);
});

t.test('a store that is larger than a step', async (t) => {
  const store = opener(t)(20_000);
  const eviction = new Eviction();
  eviction.add(store, { isHome: (chunk) => chunk !== 19_999 && chunk !== 9000 });
  await store.fill(100, 3);
  await store.fill(9000);
  await store.fill(19_999);
  await evict(eviction, 2);
  t.same(store.held, [100, 101, 102]);
  await evict(eviction, 2);
  t.equal(store.held.length, 1);
});

type Step =
  | { kind: 'fill' | 'use' | 'pin' | 'unpin'; store: number; chunk: number }
  | { kind: 'evict'; count: number }
  | { kind: 'membership'; salt: number };

const chunkCount = 24;
const storeCount = 3;
const place = { store: fc.nat(storeCount - 1), chunk: fc.nat(chunkCount - 1) };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('fill' as const), ...place }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('use' as const), ...place }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('pin' as const, 'unpin' as const), ...place }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('evict' as const), count: fc.integer({ min: 1, max: 20 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('membership' as const), salt: fc.nat(6) }) },
);

t.test('whatever happens: classes in order, second chance inside each, no more than is wanted, all that can go', async (t) => {
  const open = opener(t);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 80 }), async (steps) => {
      const stores = Array.from({ length: storeCount }, () => open(chunkCount));
      const eviction = new Eviction();
      let salt = 0;
      const isCopy = (store: number, chunk: number): boolean => store !== 2 && ((chunk >> 2) + salt) % 3 !== 0;
      stores.forEach((store, index) => {
        eviction.add(store, index === 2 ? {} : { isHome: (chunk) => !isCopy(index, chunk) });
      });
      /** `unread`: never read since it came. `read`: since the last eviction. Others may have their mark or not. */
      const marks = new Map<string, 'unread' | 'read' | 'unknown'>();
      const loose = (): [store: number, chunk: number][] =>
        stores.flatMap((store, index) =>
          store.held.filter((chunk) => !store.pinned.has(chunk)).map((chunk): [number, number] => [index, chunk]),
        );
      for (const each of steps) {
        if (each.kind === 'membership') {
          salt = each.salt;
        } else if (each.kind === 'evict') {
          const before = loose();
          const gone = (await evict(eviction, each.count)).map(([store, chunk]): [number, number] => [
            stores.indexOf(store as PinnableStore),
            chunk,
          ]);
          const left = loose();
          if (gone.length !== Math.min(each.count, before.length))
            throw new Error(`${gone.length} went of ${each.count} wanted, ${before.length} there`);
          if (gone.some(([store, chunk]) => stores[store]?.pinned.has(chunk))) throw new Error('a pinned chunk went');
          if (gone.some((one) => !isCopy(...one)) && left.some((one) => isCopy(...one))) throw new Error('a home chunk went before a copy');
          for (const one of gone) {
            const spared = left.find((other) => isCopy(...other) === isCopy(...one) && marks.get(`${other}`) === 'unread');
            if (marks.get(`${one}`) === 'read' && spared !== undefined) throw new Error(`${one} was used and went, ${spared} was not`);
          }
          for (const one of gone) marks.delete(`${one}`);
          for (const [one, mark] of marks) if (mark === 'read') marks.set(one, 'unknown');
        } else {
          const store = stores[each.store] as PinnableStore;
          const name = `${[each.store, each.chunk]}`;
          if (each.kind === 'pin') store.pinned.add(each.chunk);
          else if (each.kind === 'unpin') store.pinned.delete(each.chunk);
          else if (each.kind === 'use' && marks.has(name)) {
            await store.use(each.chunk);
            marks.set(name, 'read');
          } else if (each.kind === 'fill' && !marks.has(name)) {
            await store.fill(each.chunk);
            marks.set(name, 'unread');
          }
        }
      }
      await Promise.all(stores.map((store) => store.close()));
    }),
    { numRuns: 60 },
  );
});
