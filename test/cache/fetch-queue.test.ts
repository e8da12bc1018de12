/** Which chunks are asked for together, in what order, and how many at once. */
import t from 'tap';
import { Budget } from '../../src/base/budget.js';
import { type FetchLimits, FetchQueue, type Run } from '../../src/cache/fetch-queue.js';
import { Flight } from '../../src/cache/flight.js';
import { turns } from './subject.js';

interface Started extends Run {
  end(error?: Error): void;
}

function queueOf(options: Partial<FetchLimits> & { memoryChunks?: number; memory?: Budget } = {}) {
  const { memoryChunks = 1000, memory = new Budget(memoryChunks * 10), ...limits } = options;
  const started: Started[] = [];
  const dropped: Flight[] = [];
  const queue = new FetchQueue({
    limits: { demandRequests: 2, prefetchRequests: 1, maxRunChunks: 4, ...limits },
    chunkBytes: 10,
    memory: { demand: memory, peer: memory, background: memory, prefetch: memory },
    fetch: (run) =>
      new Promise((resolve, reject) => {
        started.push({ ...run, end: (error) => (error === undefined ? resolve() : reject(error)) });
      }),
    drop: (flight) => dropped.push(flight),
  });
  const add = (priority: 'demand' | 'prefetch', ...chunks: number[]): Flight[] => {
    const flights = chunks.map((chunk) => new Flight(chunk, priority));
    for (const flight of flights) queue.add(flight);
    return flights;
  };
  const chunks = (): number[][] => started.map((run) => run.flights.map((flight) => flight.chunkIndex));
  return { queue, memory, started, dropped, add, chunks };
}

t.test('what is asked for in one turn becomes runs, in the order of chunks', async (t) => {
  const { add, chunks } = queueOf({ demandRequests: 10 });
  add('demand', 7, 3, 5, 4, 20);
  t.same(chunks(), [], 'not before the turn ends');
  await turns();
  t.same(chunks(), [[7], [3, 4, 5], [20]]);
});

t.test('no run is longer than the longest', async (t) => {
  const { add, chunks } = queueOf({ demandRequests: 10, maxRunChunks: 3 });
  add('demand', 0, 1, 2, 3, 4, 5, 6);
  await turns();
  t.same(chunks(), [[0, 1, 2], [3, 4, 5], [6]]);
});

t.test('a run holds the chunk that was asked for first, however many neighbours it has below', async (t) => {
  const { add, chunks } = queueOf({ demandRequests: 1, maxRunChunks: 3 });
  add('demand', 9, 8, 7, 6, 5, 4, 3);
  await turns();
  t.same(chunks(), [[7, 8, 9]]);
});

t.test('demand has its bound; what ends makes room, also when it fails', async (t) => {
  const { add, chunks, started } = queueOf();
  add('demand', 0, 10, 20, 30);
  await turns();
  t.same(chunks(), [[0], [10]]);
  started[0]?.end(new Error('fails'));
  await turns();
  t.same(chunks(), [[0], [10], [20]]);
  started[1]?.end();
  await turns();
  t.equal(started.length, 4);
});

t.test('prefetch has a bound of its own and starts only when no demand waits', async (t) => {
  const { add, chunks, started } = queueOf({ demandRequests: 1 });
  add('prefetch', 100, 200);
  add('demand', 0, 10);
  await turns();
  t.same(chunks(), [[0]]);
  started[0]?.end();
  await turns();
  t.same(chunks(), [[0], [10], [100]], 'beside demand that is under way');
  started[2]?.end();
  await turns();
  t.same(chunks().at(-1), [200]);
});

t.test('demand and prefetch do not share a run', async (t) => {
  const { add, chunks } = queueOf();
  add('demand', 1);
  add('prefetch', 2);
  await turns();
  t.same(chunks(), [[1], [2]]);
});

t.test('a promoted prefetch goes with demand', async (t) => {
  const { add, queue, started, chunks } = queueOf();
  const [, second] = add('prefetch', 100, 200);
  add('demand', 0);
  if (second !== undefined) queue.promote(second, 'demand');
  await turns();
  t.same(chunks(), [[0], [200], [100]]);
  t.equal(started[1]?.priority, 'demand');
});

t.test('promoting what is being fetched changes only its priority', async (t) => {
  const { add, queue, chunks } = queueOf();
  const [flight] = add('prefetch', 100);
  await turns();
  if (flight !== undefined) queue.promote(flight, 'demand');
  await turns();
  t.equal(flight?.priority, 'demand');
  t.same(chunks(), [[100]]);
});

t.test('what is removed is not fetched', async (t) => {
  const { add, queue, chunks } = queueOf();
  const [, second] = add('demand', 1, 2, 3);
  t.ok(second !== undefined && queue.remove(second));
  await turns();
  t.same(chunks(), [[1], [3]]);
  t.notOk(second !== undefined && queue.remove(second));
});

t.test('demand waits for memory in order and gives it back', async (t) => {
  const { add, memory, started, chunks } = queueOf({ memoryChunks: 4 });
  add('demand', 0, 1, 2);
  add('demand', 10, 11);
  await turns();
  t.same(chunks(), [[0, 1, 2]], 'two more do not fit');
  t.equal(memory.taken, 30);
  started[0]?.end();
  await turns();
  t.same(chunks(), [
    [0, 1, 2],
    [10, 11],
  ]);
  started[1]?.end();
  await turns();
  t.equal(memory.taken, 0);
});

t.test('prefetch without memory stays queued while own requests will free some', async (t) => {
  const { add, memory, started, chunks, dropped } = queueOf({ memoryChunks: 2, prefetchRequests: 4 });
  add('demand', 0);
  add('prefetch', 10, 11);
  await turns();
  t.same(chunks(), [[0]]);
  t.same(dropped, []);
  started[0]?.end();
  await turns();
  t.same(chunks(), [[0], [10, 11]]);
  started[1]?.end();
  await turns();
  t.equal(memory.taken, 0);
});

t.test('prefetch that was put back is queued: it can be promoted and removed', async (t) => {
  const { add, queue, chunks } = queueOf({ memoryChunks: 2, prefetchRequests: 4 });
  add('demand', 0);
  const [first, second] = add('prefetch', 10, 11);
  await turns();
  t.same(chunks(), [[0]]);
  t.equal(first?.state, 'queued');
  t.ok(first !== undefined && queue.remove(first));
  if (second !== undefined) queue.promote(second, 'demand');
  await turns();
  t.same(chunks(), [[0], [11]]);
});

t.test('prefetch is dropped when others hold the memory: nobody here would wake it', async (t) => {
  const memory = new Budget(20);
  await memory.take(15);
  const { add, chunks, dropped } = queueOf({ memory });
  const flights = add('prefetch', 10, 11, 30);
  await turns();
  t.equal(chunks().length, 0);
  t.same(new Set(dropped), new Set(flights));
  memory.release(15);
  add('prefetch', 10);
  await turns();
  t.same(chunks(), [[10]]);
});
