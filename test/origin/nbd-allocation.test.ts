import fc from 'fast-check';
import t from 'tap';
import { type AllocationExtent, AllocationMap } from '../../src/origin/nbd/allocation.js';
import { OrderedSink } from '../../src/origin/nbd/ordered-sink.js';
import { BufferSink } from '../../src/origin/sink.js';

const sizeBytes = 1000;

t.test('says of each byte what the server said, through short answers and a bound that forgets', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.boolean(), { minLength: sizeBytes, maxLength: sizeBytes }),
      fc.array(fc.tuple(fc.nat(sizeBytes - 1), fc.integer({ min: 1, max: sizeBytes })), { minLength: 1, maxLength: 10 }),
      fc.integer({ min: 1, max: 30 }),
      async (zeros, ranges, answerBytes) => {
        const map = new AllocationMap(sizeBytes, { segmentBytes: 64, maxNumbers: 200 });
        const fetch = async (offset: number, lengthBytes: number): Promise<AllocationExtent[]> => {
          const extents: AllocationExtent[] = [];
          for (let at = offset; at < Math.min(offset + lengthBytes, offset + answerBytes); at += 1)
            extents.push({ lengthBytes: 1, zero: zeros[at] === true });
          return extents;
        };
        for (const [offset, length] of ranges) {
          const lengthBytes = Math.min(length, sizeBytes - offset);
          const runs = await map.runs(offset, lengthBytes, 1, fetch);
          const said = runs.flatMap((run) => Array.from({ length: run.lengthBytes }, () => run.zero));
          if (said.length !== lengthBytes) throw new Error(`${said.length} bytes told of ${lengthBytes}`);
          if (runs.some((run, index) => run.zero === runs[index + 1]?.zero)) throw new Error('neighbours are alike');
          // What took too many answers counts as data, so only "zero" must be true.
          said.forEach((zero, index) => {
            if (zero && zeros[offset + index] !== true) throw new Error(`data at ${offset + index} called zero`);
          });
          if (answerBytes >= 2)
            said.forEach((zero, index) => {
              if (zero !== zeros[offset + index]) throw new Error(`zero at ${offset + index} called data`);
            });
        }
      },
    ),
    { numRuns: 100 },
  );
});

t.test('a segment is fetched once however many ask, and a failure is not remembered', async (t) => {
  const map = new AllocationMap(sizeBytes);
  let fetchCount = 0;
  const failing = async (): Promise<AllocationExtent[]> => {
    fetchCount += 1;
    throw new Error('no');
  };
  const results = await Promise.allSettled([map.runs(0, 10, 1, failing), map.runs(10, 10, 1, failing)]);
  t.same(
    results.map((result) => result.status),
    ['rejected', 'rejected'],
  );
  t.equal(fetchCount, 1);
  const good = async (_offset: number, lengthBytes: number): Promise<AllocationExtent[]> => {
    fetchCount += 1;
    return [
      { lengthBytes: 30, zero: true },
      { lengthBytes: lengthBytes - 30, zero: false },
    ];
  };
  t.same(await map.runs(20, 20, 1, good), [
    { lengthBytes: 10, zero: true },
    { lengthBytes: 10, zero: false },
  ]);
  t.same(await map.runs(20, 20, 11, good), [{ lengthBytes: 20, zero: false }], 'short zeros count as data');
  t.same(await map.runs(0, 10, 11, good), [{ lengthBytes: 10, zero: true }], 'but not when they are all there is');
  t.equal(fetchCount, 2);
});

t.test('pieces in any order reach the sink in order', async () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 50 }),
      fc.array(fc.nat(49), { maxLength: 6 }),
      fc.infiniteStream(fc.nat(1000)),
      (bytes, cuts, random) => {
        const content = Buffer.from(bytes);
        const edges = [...new Set([0, ...cuts.filter((cut) => cut < content.length), content.length])].sort((a, b) => a - b);
        const pieces = edges.slice(0, -1).map((from, index) => ({ from, to: edges[index + 1] ?? 0, order: random.next().value ?? 0 }));
        const target = new BufferSink(Buffer.alloc(content.length, 0xff));
        const sink = new OrderedSink(700, content.length, target);
        for (const { from, to } of pieces.sort((a, b) => a.order - b.order)) {
          const piece = content.subarray(from, to);
          if (piece.every((byte) => byte === 0)) sink.zeroes(700 + from, to - from);
          else sink.data(piece, 700 + from);
        }
        if (!sink.complete || !target.target.equals(content)) throw new Error('not the content');
      },
    ),
  );
});
