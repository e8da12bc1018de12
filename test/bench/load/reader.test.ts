import t from 'tap';
import { loadTrace, parseTrace, traceNames } from '../harness/trace.js';
import { type Reader, readEach, replay } from './reader.js';

/** Answers after a turn of the event loop and remembers. */
function fakeReader() {
  const reads: [number, number][] = [];
  let inFlight = 0;
  const seen = { reads, maxInFlight: 0 };
  const reader: Reader = {
    async read(offset, lengthBytes) {
      reads.push([offset, lengthBytes]);
      inFlight += 1;
      seen.maxInFlight = Math.max(seen.maxInFlight, inFlight);
      await new Promise((resolve) => setImmediate(resolve));
      inFlight -= 1;
    },
    close: async () => {},
  };
  return { reader, seen };
}

t.test('readEach reads every offset once, as deep as told', async (t) => {
  const { reader, seen } = fakeReader();
  const offsets = Array.from({ length: 100 }, (_, index) => index * 8192);
  const result = await readEach(reader, offsets, { lengthBytes: 512, depth: 7, limitMs: 60_000 });
  t.equal(result.operations, 100);
  t.equal(seen.maxInFlight, 7);
  t.strictSame(
    seen.reads,
    offsets.map((offset) => [offset, 512]),
  );
});

t.test('readEach stops sending when the time is over', async (t) => {
  const { reader } = fakeReader();
  const result = await readEach(reader, new Array<number>(10_000_000).fill(0), { lengthBytes: 1, depth: 2, limitMs: 20 });
  t.ok(result.operations > 0 && result.operations < 10_000_000);
});

const csv = 'ms,offset,length\n10.000,0,512\n15.000,4096,8192\n40.500,8000,200\n';

t.test('a trace: gaps between sends, pages touched counted once', async (t) => {
  const trace = parseTrace('x', csv);
  t.strictSame(trace.reads, [
    { gapMs: 0, offset: 0, lengthBytes: 512 },
    { gapMs: 5, offset: 4096, lengthBytes: 8192 },
    { gapMs: 25.5, offset: 8000, lengthBytes: 200 },
  ]);
  t.equal(trace.touchedBytes, 3 * 4096);
});

t.test('replay is a closed loop and keeps gaps when told', async (t) => {
  const trace = parseTrace('x', csv);
  const { reader, seen } = fakeReader();
  const fast = await replay(reader, trace, false);
  t.equal(seen.maxInFlight, 1);
  t.equal(fast.operations, 3);
  const slow = await replay(reader, trace, true);
  t.ok(slow.seconds >= 0.029, `${slow.seconds} s is at least the gaps`);
  // One of them may be held up by a busy machine, but not all.
  const seconds: number[] = [];
  while (seconds.length < 20) seconds.push((await replay(reader, trace, false)).seconds);
  t.ok(Math.min(...seconds) < 0.03, `${Math.min(...seconds)} s is less than the gaps`);
});

t.test('the recorded boots are there and lie within the image', async (t) => {
  for (const name of traceNames) {
    const trace = await loadTrace(name);
    t.ok(trace.reads.length > 500, name);
    t.ok(
      trace.reads.every(({ gapMs, offset, lengthBytes }) => gapMs >= 0 && lengthBytes > 0 && offset + lengthBytes <= 2 ** 30),
      name,
    );
  }
});
