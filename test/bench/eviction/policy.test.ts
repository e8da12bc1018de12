/** The models do what their papers say on sequences short enough to follow, and the shipped one keeps its budget. */
import t from 'tap';
import { buildMix, byPopularity } from './mix.js';
import { Clock, Lru, type ReplayPolicy, S3Fifo, Sieve } from './policy.js';
import { replayMix } from './replay.js';
import { Shipped } from './shipped.js';

/** Chunks that are held after reads of these, one after the other. */
function heldAfter(policy: ReplayPolicy, reads: readonly number[]): number[] {
  for (const chunk of reads) {
    if (policy.has(chunk)) policy.use(chunk);
    else void policy.insert(chunk);
  }
  return [...new Set(reads)].filter((chunk) => policy.has(chunk)).sort((left, right) => left - right);
}

t.test('LRU loses what was read longest ago', async (t) => {
  t.same(heldAfter(new Lru(3), [1, 2, 3, 1, 4]), [1, 3, 4]);
});

t.test('CLOCK spares what was read, once, and takes it to the end', async (t) => {
  t.same(heldAfter(new Clock(3), [1, 2, 3, 1, 4]), [1, 3, 4]);
  t.same(heldAfter(new Clock(3), [1, 2, 3, 1, 4, 5, 6]), [4, 5, 6]);
});

t.test('SIEVE spares what was read and leaves it where it is, behind the hand', async (t) => {
  t.same(heldAfter(new Sieve(3), [1, 2, 3, 1, 4, 5, 6]), [1, 5, 6]);
});

t.test('S3-FIFO keeps what came back from one long scan', async (t) => {
  const scan = Array.from({ length: 40 }, (_, index) => 100 + index);
  t.same(
    heldAfter(new S3Fifo(10), [1, 1, 1, ...scan]).filter((chunk) => chunk < 100),
    [1],
  );
  t.same(
    heldAfter(new Lru(10), [1, 1, 1, ...scan]).filter((chunk) => chunk < 100),
    [],
  );
});

const reads = Array.from({ length: 300 }, (_, index) => ({ gapMs: 10, offset: ((index * 7) % 200) * 2 ** 18, lengthBytes: 4096 }));
const trace = { name: 'made up', reads, touchedBytes: 0 };
const options = { name: 'test', imageCount: 3, bootCount: 6, choose: byPopularity(3, 1), scanEvery: 2 };

t.test('one seed is one mix, in the order of time', async (t) => {
  const mix = buildMix(options, [trace], 5);
  // As text: tap would compare the trees, and take a minute to show a difference.
  const text = (seed: number): string => JSON.stringify(buildMix(options, [trace], seed));
  t.ok(text(5) === JSON.stringify(mix));
  t.ok(text(5) !== text(6));
  t.ok(mix.accesses.every(({ atMs }, index) => atMs >= (mix.accesses[index - 1]?.atMs ?? 0)));
});

t.test('a cache with room for all misses each chunk once; a small one misses more, the shipped one too', async (t) => {
  const mix = buildMix({ ...options, scanEvery: 0 }, [trace], 5);
  const all = await replayMix(mix, new Lru(100_000));
  const small = new Shipped(mix.workingSetChunks >> 2, mix, t.testdir({}));
  const large = new Shipped(100_000, mix, t.testdirName);
  t.same(await replayMix(mix, large), all);
  t.ok((await replayMix(mix, small)).misses > all.misses);
  await Promise.all([small.close(), large.close()]);
});
