/** Blocks, edges, space and arguments of an overlay file. */
import { statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { native } from '../../src/base/native/loader.js';
import {
  BlockState,
  type BlockStateValue,
  blockBytes,
  type NativeOverlayFile,
  type OverlayFileOptions,
  OverlayReadNow,
} from '../../src/base/native/overlay.js';

const { base, data, zero, remote } = BlockState;
const blockCount = 1200;
const sizeBytes = blockCount * blockBytes;
const seed = 0xfeed;
const wrong = (value: unknown): never => value as never;

function optionsIn(directory: string): OverlayFileOptions {
  return { dataPath: join(directory, 'data'), mapPath: join(directory, 'map'), sizeBytes, recordsOffset: 4096, recordSeed: seed };
}

function openNew(t: Test): NativeOverlayFile {
  const file = native.openOverlayFile(optionsIn(t.testdir()));
  t.teardown(() => file.close());
  return file;
}

/** A file whose first blocks are in these states; data blocks hold their index + 1, remote ones are at node 7. */
async function openWith(t: Test, states: BlockStateValue[]): Promise<NativeOverlayFile> {
  const options = optionsIn(t.testdir());
  const map = Uint8Array.from({ length: blockCount }, (_, index) => (states[index] === remote ? remote | (7 << 3) : base));
  await native.writeOverlayMap({ ...options, header: Buffer.from('head') }, map);
  const file = native.openOverlayFile(options);
  t.teardown(() => file.close());
  for (const [index, state] of states.entries()) {
    const offset = index * blockBytes;
    // What is zero was data before: old bytes are still in the file.
    if (state === data || state === zero) await file.write(Buffer.alloc(blockBytes, index + 1), 0, blockBytes, offset, undefined);
    if (state === zero) await file.trim(offset, blockBytes);
  }
  return file;
}

const runsOf = (file: NativeOverlayFile, blocks = blockCount): number[] => [...file.runs(0, blocks * blockBytes, 100)];

async function contentOf(file: NativeOverlayFile, offset: number, lengthBytes: number): Promise<Buffer> {
  const target = Buffer.alloc(lengthBytes, 0xee);
  if (!(await file.read(target, 0, lengthBytes, offset))) throw new Error('not all of it is here');
  const now = Buffer.alloc(lengthBytes, 0xdd);
  if (file.readNow(now, 0, lengthBytes, offset) === OverlayReadNow.hit && !now.equals(target))
    throw new Error('readNow reads something else');
  return target;
}

t.test('a new overlay is base, and takes no space', async (t) => {
  const file = openNew(t);
  t.same([file.sizeBytes, file.dataBytes, file.zeroBytes, file.remoteBytes, file.changedBytes], [sizeBytes, 0, 0, 0, 0]);
  t.equal(file.dirty, false);
  t.equal(file.allocatedBytes(), 0);
  t.same(runsOf(file), [base, 0, sizeBytes]);
  const target = Buffer.alloc(blockBytes);
  t.equal(file.readNow(target, 0, blockBytes, 0), OverlayReadNow.base);
  t.equal(await file.read(target, 0, blockBytes, 0), false);
  t.equal(file.isZero(0, blockBytes), false);
  const { dataPath, mapPath } = optionsIn(t.testdirName);
  const info = statSync(dataPath);
  t.same([info.size, info.blocks, info.mode & 0o777], [sizeBytes, 0, 0o600]);
  t.same([statSync(mapPath).size, statSync(mapPath).blocks, statSync(mapPath).mode & 0o777], [4096 + 3 * 512, 0, 0o600]);
});

t.test('a disk of 100 GiB costs nothing until it is written', async (t) => {
  const options = { ...optionsIn(t.testdir()), sizeBytes: 100 * 2 ** 30 };
  const before = process.memoryUsage.rss();
  const file = native.openOverlayFile(options);
  await file.write(Buffer.alloc(blockBytes, 1), 0, blockBytes, options.sizeBytes - blockBytes, undefined);
  await file.flush();
  t.ok(process.memoryUsage.rss() - before < 8 << 20, 'memory');
  t.ok(file.allocatedBytes() + statSync(options.mapPath).blocks * 512 < 64 << 10, 'disk');
  await file.close();
  const again = native.openOverlayFile(options);
  t.same([...again.runs(options.sizeBytes - 2 * blockBytes, 2 * blockBytes, 9)], [base, 0, blockBytes, data, 0, blockBytes]);
  await again.close();
});

t.test('whole blocks are written without what is below', async (t) => {
  const file = openNew(t);
  t.equal(await file.write(Buffer.alloc(3 * blockBytes, 5), blockBytes, 2 * blockBytes, 4 * blockBytes, undefined), true);
  t.same(runsOf(file), [base, 0, 4 * blockBytes, data, 0, 2 * blockBytes, base, 0, sizeBytes - 6 * blockBytes]);
  t.equal(file.dataBytes, 2 * blockBytes);
  t.equal(file.dirty, true);
  t.ok((await contentOf(file, 4 * blockBytes, 2 * blockBytes)).equals(Buffer.alloc(2 * blockBytes, 5)));
  const target = Buffer.alloc(2 * blockBytes);
  t.equal(file.readNow(target, 0, 2 * blockBytes, 3 * blockBytes), OverlayReadNow.mixed);
  t.equal(await file.read(target, 0, 2 * blockBytes, 3 * blockBytes), false);
  t.equal(await file.write(target, 0, 0, 17, undefined), true, 'nothing is written');
  t.equal(file.dataBytes, 2 * blockBytes);
});

const states: BlockStateValue[] = [base, data, zero, remote];
const nameOf = (state: BlockStateValue): string => Object.keys(BlockState)[state] ?? '';

/** What a block of the state reads as: `below` where it is not here. */
function contentBefore(state: BlockStateValue, index: number, below: number): Buffer {
  return Buffer.alloc(blockBytes, state === data ? index + 1 : state === zero ? 0 : below);
}

interface Ragged {
  what: string;
  start: number;
  end: number;
  /** The first block in states[0], the last in states[1]. */
  blocks: number;
}
const ragged: Ragged[] = [
  { what: 'the start of one block', start: 0, end: 700, blocks: 1 },
  { what: 'the middle of one block', start: 513, end: 1025, blocks: 1 },
  { what: 'the end of one block', start: 4000, end: 4096, blocks: 1 },
  { what: 'a head', start: 100, end: 3 * 4096, blocks: 3 },
  { what: 'a tail', start: 0, end: 2 * 4096 + 1, blocks: 3 },
  { what: 'both ends', start: 4095, end: 2 * 4096 + 100, blocks: 3 },
  { what: 'both ends of two blocks', start: 4095, end: 4097, blocks: 2 },
];

for (const { what, start, end, blocks } of ragged) {
  for (const way of ['write', 'zero', 'zero allocated'] as const) {
    t.test(`${way} over ${what}, whatever is there`, async (t) => {
      for (const first of states) {
        for (const last of blocks === 1 || way === 'zero allocated' ? [first] : states) {
          await t.test(`${nameOf(first)} to ${nameOf(last)}`, async (t) => {
            const there = Array.from({ length: blocks }, (_, index) => (index === 0 ? first : index === blocks - 1 ? last : base));
            const file = await openWith(t, there);
            const source = Buffer.alloc(end - start, 0x77);
            const call = (edges?: Uint8Array): Promise<boolean> =>
              way === 'write'
                ? file.write(source, 0, source.length, start, edges)
                : file.zero(start, source.length, { allocate: way !== 'zero' }, edges);
            const raggedEnds = [start % blockBytes === 0 && (blocks > 1 || end === blockBytes) ? undefined : 0];
            if (blocks > 1 && end % blockBytes !== 0) raggedEnds.push(blocks - 1);
            const needsEdges = raggedEnds.some((index) => index !== undefined && (there[index] === base || there[index] === remote));
            const before = runsOf(file, blocks);
            const edges = Buffer.concat([Buffer.alloc(blockBytes, 0xaa), ...(blocks > 1 ? [Buffer.alloc(blockBytes, 0xbb)] : [])]);
            if (needsEdges) {
              t.equal(await call(), false, 'what is below is asked for');
              t.same(runsOf(file, blocks), before, 'and nothing happened');
            }
            t.equal(await call(needsEdges ? edges : undefined), true);
            const expected = Buffer.concat(there.map((state, index) => contentBefore(state, index, index === 0 ? 0xaa : 0xbb)));
            expected.fill(way === 'write' ? 0x77 : 0, start, end);
            t.ok((await contentOf(file, 0, blocks * blockBytes)).equals(expected));
            const after = there.map((state, index) => {
              if (way !== 'zero') return data;
              const whole = index * blockBytes >= start && (index + 1) * blockBytes <= end;
              return whole || state === zero ? zero : data;
            });
            for (const [index, state] of after.entries()) t.equal(file.runs(index * blockBytes, 1, 1)[0], state, `block ${index}`);
            if (first !== last) return;
            await file.flush();
            t.ok((await contentOf(file, 0, blocks * blockBytes)).equals(expected), 'and after a flush');
          });
        }
      }
    });
  }
}

t.test('trim takes whole blocks only, and a flush gives their space back', async (t) => {
  const file = await openWith(t, [data, data, data, data, base, remote]);
  await file.flush();
  const full = file.allocatedBytes();
  await file.trim(100, 5 * blockBytes + 3000);
  t.same(runsOf(file, 7), [data, 0, blockBytes, zero, 0, 4 * blockBytes, remote, 7, blockBytes, base, 0, blockBytes]);
  t.equal(file.allocatedBytes(), full, 'not before the map on the disk says so');
  t.equal(file.dirty, true);
  await file.flush();
  t.equal(file.allocatedBytes(), full - 3 * blockBytes);
  t.equal(file.dirty, false);
  t.equal(file.isZero(blockBytes, 4 * blockBytes), true);
  t.equal(file.isZero(blockBytes - 1, 2), false);
  await file.trim(3, 4090);
  t.equal(file.dirty, false, 'not a whole block');
  t.ok((await contentOf(file, 0, 4 * blockBytes)).equals(Buffer.alloc(4 * blockBytes).fill(1, 0, blockBytes)));
});

t.test('what was trimmed and written again is not punched', async (t) => {
  const file = await openWith(t, [data, data, data]);
  await file.flush();
  await file.trim(0, 3 * blockBytes);
  await file.write(Buffer.alloc(100, 9), 0, 100, blockBytes + 50, undefined);
  // One that has punched for a second leaves the rest to the next.
  while (file.dirty) await file.flush();
  t.equal(file.allocatedBytes(), blockBytes);
  const expected = Buffer.alloc(3 * blockBytes).fill(9, blockBytes + 50, blockBytes + 150);
  t.ok((await contentOf(file, 0, 3 * blockBytes)).equals(expected));
});

t.test('zero with allocate keeps the space', async (t) => {
  const file = await openWith(t, [data, data, base, base]);
  t.equal(await file.zero(0, 4 * blockBytes, { allocate: true }, undefined), true);
  await file.flush();
  t.same(runsOf(file, 4), [data, 0, 4 * blockBytes]);
  t.equal(file.allocatedBytes(), 4 * blockBytes);
  t.ok((await contentOf(file, 0, 4 * blockBytes)).equals(Buffer.alloc(4 * blockBytes)));
});

t.test('fill stores what is still remote, and nothing else', async (t) => {
  const file = await openWith(t, [remote, data, zero, base, remote, remote]);
  file.trackChanges(true);
  t.equal(await file.fill(Buffer.alloc(6 * blockBytes, 0x55), 0, 6 * blockBytes, 0), 3 * blockBytes);
  t.same(runsOf(file, 6), [data, 0, 2 * blockBytes, zero, 0, blockBytes, base, 0, blockBytes, data, 0, 2 * blockBytes]);
  t.same([file.remoteBytes, file.changedBytes], [0, 0]);
  const expected = Buffer.concat([Buffer.alloc(blockBytes, 0x55), Buffer.alloc(blockBytes, 2), Buffer.alloc(blockBytes)]);
  t.ok((await contentOf(file, 0, 3 * blockBytes)).equals(expected));
  t.equal(await file.fill(Buffer.alloc(6 * blockBytes, 0x66), 0, 6 * blockBytes, 0), 0);
  t.equal(await file.fill(Buffer.alloc(1), 0, 0, 0), 0);
});

t.test('runs: kinds, nodes, part of blocks, at most so many', async (t) => {
  const file = await openWith(t, [base, remote, remote, data, zero]);
  t.same([...file.runs(100, 3 * blockBytes, 9)], [base, 0, 3996, remote, 7, 2 * blockBytes, data, 0, 100]);
  t.same([...file.runs(0, sizeBytes, 2)], [base, 0, blockBytes, remote, 7, 2 * blockBytes]);
  t.same([...file.runs(0, sizeBytes, 0)], []);
  t.same([...file.runs(sizeBytes, 0, 5)], []);
});

t.test('a flush of nothing, a flush of data alone, and many at once', async (t) => {
  const file = await openWith(t, [data]);
  await file.flush();
  t.equal(file.dirty, false);
  await file.flush();
  await file.write(Buffer.alloc(10, 9), 0, 10, 0, undefined);
  t.equal(file.dirty, true, 'no state changed, but bytes did');
  await Promise.all(Array.from({ length: 20 }, () => file.flush()));
  t.equal(file.dirty, false);
});

t.test('calls after close, and the calls that close waits for', async (t) => {
  const file = native.openOverlayFile(optionsIn(t.testdir()));
  const writes = Array.from({ length: 50 }, (_, index) => file.write(Buffer.alloc(9000, 1), 0, 9000, index * 12288, undefined));
  const flushes = [file.flush(), file.flush(), file.flush()];
  const closed = file.close();
  const buffer = Buffer.alloc(1);
  const calls: Promise<unknown>[] = [
    file.read(buffer, 0, 1, 0),
    file.write(buffer, 0, 1, 0, undefined),
    file.zero(0, 1, { allocate: false }, undefined),
    file.trim(0, 1),
    file.fill(buffer, 0, 0, 0),
    file.flush(),
  ];
  for (const call of calls) await t.rejects(call as Promise<void>, { code: 'ERR_CLOSED' });
  for (const call of [
    () => file.sizeBytes,
    () => file.dirty,
    () => file.allocatedBytes(),
    () => file.readNow(buffer, 0, 1, 0),
    () => file.isZero(0, 1),
    () => file.runs(0, 1, 1),
    () => file.trackChanges(true),
    () => file.copyMap(buffer, 0, 0, 1, false),
  ]) {
    t.throws(call, { code: 'ERR_CLOSED' });
  }
  t.ok(
    (await Promise.all(writes)).every((done) => done === false),
    'their tails are base',
  );
  await Promise.all([...flushes, closed, file.close()]);
});

t.test('wrong arguments throw', async (t) => {
  const file = openNew(t);
  const options = optionsIn(t.testdirName);
  const buffer = Buffer.alloc(blockBytes);
  const type = { code: 'ERR_INVALID_ARG_TYPE' };
  const range = { code: 'ERR_OUT_OF_RANGE' };
  t.throws(() => native.openOverlayFile({ ...options, sizeBytes: 4097 }), range);
  t.throws(() => native.openOverlayFile({ ...options, recordsOffset: 100 }), range);
  t.throws(() => native.openOverlayFile({ ...options, recordSeed: -1 }), range);
  t.throws(() => native.openOverlayFile({ ...options, mapPath: wrong(5) }), type);
  t.throws(() => native.openOverlayFile({ ...options, dataPath: join(t.testdirName, 'no', 'such') }), { code: 'ENOENT' });
  t.throws(() => file.readNow(buffer, 0, blockBytes, sizeBytes - 1), range);
  t.throws(() => file.read(buffer, 1, blockBytes, 0), range);
  t.throws(() => file.write(buffer, 0, blockBytes, sizeBytes - 1, undefined), range);
  t.throws(() => file.write(buffer, 0, 1, 0, Buffer.alloc(4095)), range);
  t.throws(() => file.write(buffer, 0, 2, 4095, Buffer.alloc(4096)), range, 'two blocks have two edges');
  t.throws(() => file.write(buffer, 0, 1, 0, wrong('x')), type);
  t.throws(() => file.zero(0, sizeBytes + 1, { allocate: false }, undefined), range);
  t.throws(() => file.zero(0, 1, wrong({}), undefined), type);
  t.throws(() => file.trim(0.5, 1), range);
  t.throws(() => file.fill(buffer, 0, 100, 0), range);
  t.throws(() => file.fill(buffer, 0, blockBytes, 100), range);
  t.throws(() => file.copyMap(buffer, 0, 0, blockBytes, false), range, 'more than there are');
  t.throws(() => file.copyMap(buffer, 4000, 0, 97, false), range, 'more than the target takes');
  t.throws(() => file.trackChanges(wrong(1)), type);
  t.throws(() => Reflect.get(Object.getPrototypeOf(file), 'dirty', {}), type);
});

t.test('an overlay of no bytes', async (t) => {
  const file = native.openOverlayFile({ ...optionsIn(t.testdir()), sizeBytes: 0 });
  t.same([...file.runs(0, 0, 5)], []);
  t.equal(file.isZero(0, 0), true);
  await file.flush();
  file.trackChanges(true, true);
  file.trackChanges(false);
  await file.close();
});

t.test('a data file that is cut under an open overlay is an error, never zeros', async (t) => {
  const file = await openWith(t, [data, data]);
  const handle = await open(optionsIn(t.testdirName).dataPath, 'r+');
  await handle.truncate(blockBytes);
  await handle.close();
  await t.rejects(file.read(Buffer.alloc(blockBytes), 0, blockBytes, blockBytes), { code: 'EIO' });
});
