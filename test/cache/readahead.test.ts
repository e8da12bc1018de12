/** Streams are found, carried on by their marks, and forgotten; random reads cost nothing. */
import t from 'tap';
import { Readahead } from '../../src/cache/readahead.js';

/** A reader that reads `readChunks` at a time from what it has or prefetched; returns the chunks that it had to wait for. */
function readSequentially(readahead: Readahead, options: { firstChunk: number; chunkCount: number; readChunks: number }) {
  const fetched = new Set<number>();
  const waited: number[] = [];
  const prefetched: number[] = [];
  for (let first = options.firstChunk; first < options.firstChunk + options.chunkCount; first += options.readChunks) {
    const last = Math.min(first + options.readChunks, options.firstChunk + options.chunkCount) - 1;
    let missed = false;
    for (let chunk = first; chunk <= last; chunk += 1) {
      if (fetched.has(chunk)) continue;
      missed = true;
      waited.push(chunk);
      fetched.add(chunk);
    }
    const range = readahead.isMarked(first, last) ? readahead.onMark(first, last) : missed ? readahead.onMiss(first, last) : undefined;
    if (range === undefined) continue;
    for (let chunk = range.firstChunk; chunk < range.firstChunk + range.chunkCount; chunk += 1) {
      if (fetched.has(chunk)) continue;
      fetched.add(chunk);
      prefetched.push(chunk);
    }
  }
  return { waited, prefetched };
}

t.test('windows double from one chunk to the most, each asked for at the mark of the one before', async (t) => {
  const readahead = new Readahead({ chunkCount: 1000, maxWindowChunks: 8 });
  t.equal(readahead.onMiss(10, 10), undefined, 'one read is no stream');
  t.same(readahead.onMiss(11, 11), { firstChunk: 12, chunkCount: 1 });
  t.ok(readahead.isMarked(12, 12));
  t.same(readahead.onMark(12, 12), { firstChunk: 13, chunkCount: 2 });
  t.notOk(readahead.isMarked(12, 12), 'a mark is used up');
  t.same(readahead.onMark(13, 13), { firstChunk: 15, chunkCount: 4 });
  t.notOk(readahead.isMarked(14, 14));
  t.same(readahead.onMark(15, 15), { firstChunk: 19, chunkCount: 8 });
  t.same(readahead.onMark(19, 19), { firstChunk: 27, chunkCount: 8 });
  t.same(readahead.onMark(27, 27), { firstChunk: 35, chunkCount: 8 }, 'no more than the most');
});

t.test('the end of the image ends the stream', async (t) => {
  const readahead = new Readahead({ chunkCount: 4, maxWindowChunks: 8 });
  readahead.onMiss(0, 0);
  t.same(readahead.onMiss(1, 1), { firstChunk: 2, chunkCount: 1 });
  t.same(readahead.onMark(2, 2), { firstChunk: 3, chunkCount: 1 }, 'clipped');
  t.equal(readahead.onMark(3, 3), undefined);
  t.notOk(readahead.isMarked(0, 3));
});

t.test('whoever keeps marks elsewhere is told of each, once', async (t) => {
  const marks = new Set<number>();
  let told = 0;
  const onMarkChange = (chunk: number, marked: boolean): void => {
    if (marks.has(chunk) === marked) throw new Error(`${chunk}, told twice`);
    told += 1;
    if (marked) marks.add(chunk);
    else marks.delete(chunk);
  };
  const readahead = new Readahead({ chunkCount: 1000, maxWindowChunks: 8, streamLimit: 3, onMarkChange });
  let next = 1;
  for (let round = 0; round < 2000; round += 1) {
    next = (Math.imul(next, 1103515245) + 12345) >>> 0;
    // Few places, so that streams meet, and one marks what another has marked.
    const first = (next >>> 8) % 40;
    const last = first + ((next >>> 16) % 3);
    if (readahead.isMarked(first, last)) readahead.onMark(first, last);
    else readahead.onMiss(first, last);
    for (let chunk = 0; chunk < 60; chunk += 1) {
      if (readahead.isMarked(chunk, chunk) !== marks.has(chunk)) throw new Error(`chunk ${chunk} in round ${round}`);
    }
  }
  t.ok(told > 100, `told ${told} times`);
});

t.test('a window of zero turns it off', async (t) => {
  const readahead = new Readahead({ chunkCount: 100, maxWindowChunks: 0 });
  for (let chunk = 0; chunk < 10; chunk += 1) t.equal(readahead.onMiss(chunk, chunk), undefined);
  t.notOk(readahead.isMarked(0, 99));
});

t.test('random and backward reads prefetch nothing', async (t) => {
  const readahead = new Readahead({ chunkCount: 1_000_000, maxWindowChunks: 32 });
  const chunks = Array.from({ length: 2000 }, (_, index) => ((Math.imul(index + 1, 0x9e3779b1) >>> 8) * 3) % 1_000_000);
  for (let chunk = 500; chunk > 400; chunk -= 1) chunks.push(chunk);
  t.same(
    chunks.filter((chunk) => readahead.onMiss(chunk, chunk) !== undefined),
    [],
  );
});

t.test('a stream whose reads come slightly out of order goes on', async (t) => {
  const readahead = new Readahead({ chunkCount: 1000, maxWindowChunks: 8 });
  readahead.onMiss(0, 0);
  readahead.onMiss(1, 1);
  t.same(readahead.onMark(2, 2), { firstChunk: 3, chunkCount: 2 });
  t.equal(readahead.onMiss(4, 4), undefined, 'inside what is prefetched: nothing new, the stream is not lost');
  t.same(readahead.onMark(3, 3), { firstChunk: 5, chunkCount: 4 });
});

t.test('two streams at once each have their own window', async (t) => {
  const readahead = new Readahead({ chunkCount: 1000, maxWindowChunks: 4 });
  readahead.onMiss(0, 0);
  readahead.onMiss(500, 500);
  t.same(readahead.onMiss(1, 1), { firstChunk: 2, chunkCount: 1 });
  t.same(readahead.onMiss(501, 501), { firstChunk: 502, chunkCount: 1 });
  t.same(readahead.onMark(2, 2), { firstChunk: 3, chunkCount: 2 });
  t.same(readahead.onMark(502, 502), { firstChunk: 503, chunkCount: 2 });
});

t.test('the least recently continued stream is forgotten, its mark with it', async (t) => {
  const readahead = new Readahead({ chunkCount: 10_000, maxWindowChunks: 4, streamLimit: 2 });
  readahead.onMiss(0, 0);
  readahead.onMiss(1, 1);
  t.ok(readahead.isMarked(2, 2));
  readahead.onMiss(1000, 1000);
  readahead.onMiss(2000, 2000);
  t.notOk(readahead.isMarked(2, 2));
});

for (const readChunks of [1, 2, 3, 4, 8, 20]) {
  t.test(`a sequential reader of ${readChunks} chunks a read waits only at the start`, async (t) => {
    const readahead = new Readahead({ chunkCount: 2000, maxWindowChunks: 32 });
    const { waited, prefetched } = readSequentially(readahead, { firstChunk: 100, chunkCount: 400, readChunks });
    t.ok(waited.length < 10 * readChunks, `waited for ${waited.length} of 400 chunks`);
    t.ok(prefetched.length <= 400 + 64, `prefetched ${prefetched.length}`);
  });
}
