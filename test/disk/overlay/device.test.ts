/** A disk over a real overlay, with a base and other nodes that are scripted: what is asked of whom, and what the disk makes of it. */
import { statSync } from 'node:fs';
import t, { type Test } from 'tap';
import { CopseError } from '../../../src/base/error.js';
import { BlockState, type NativeOverlayFile } from '../../../src/base/native/overlay.js';
import type { DiskOptions } from '../../../src/disk/overlay/device.js';
import { pattern } from '../../conformance/content.js';
import { closeAfter, openDisk, openOverlay, overlayFiles, readDisk, remoteState, ScriptedBase, ScriptedRemote, writeMap } from './parts.js';

const block = 4096;
const sizeBytes = 256 * block;
/** The base ends inside a block, at about two thirds of the disk. */
const baseBytes = pattern(170 * block + 1234, 3);
baseBytes.fill(0, 40 * block, 60 * block);
const below = Buffer.alloc(sizeBytes);
baseBytes.copy(below);

async function open(t: Test, options: Partial<DiskOptions> = {}, states?: (blockIndex: number) => number) {
  const files = overlayFiles(t.testdir(), sizeBytes);
  if (states)
    await writeMap(
      files,
      Uint8Array.from({ length: sizeBytes / block }, (_, index) => states(index)),
    );
  const base = new ScriptedBase(baseBytes);
  const overlay = openOverlay(files);
  const { disk, clock } = openDisk(overlay, { base, ...options });
  closeAfter(t, disk);
  return { disk, base, overlay, clock, files };
}

function states(overlay: NativeOverlayFile, firstBlock: number, blockCount: number): number[] {
  const target = new Uint8Array(blockCount);
  overlay.copyMap(target, 0, firstBlock, blockCount, false);
  return [...target];
}

t.test('nothing written: the base, and zeros beyond its end', async (t) => {
  const { disk, base } = await open(t);
  t.ok((await readDisk(disk, 0, sizeBytes)).equals(below));
  t.same(
    base.reads.map(({ offset, lengthBytes }) => [offset, lengthBytes]),
    [[0, baseBytes.length]],
  );
  const now = Buffer.alloc(sizeBytes + 10, 0xaa);
  t.ok(disk.readNow(now, 10, sizeBytes, 0));
  t.ok(now.subarray(10).equals(below));
  base.isCached = false;
  t.notOk(disk.readNow(now, 0, block, baseBytes.length - 1));
  t.ok(disk.readNow(now, 0, block, baseBytes.length), 'zeros need nobody');
  t.ok(disk.isZeroNow(40 * block, 20 * block));
  t.notOk(disk.isZeroNow(40 * block - 1, 20 * block));
  t.ok(disk.isZeroNow(baseBytes.length, sizeBytes - baseBytes.length));
  t.notOk(disk.isZeroNow(baseBytes.length - 1, 2));
  t.equal(await disk.read(Buffer.alloc(10), 0), 'origin');
  t.equal(await disk.read(Buffer.alloc(10), baseBytes.length), 'cache');
});

t.test('without a base all is zeros', async (t) => {
  const { disk } = await open(t, { base: undefined });
  t.ok(disk.isZeroNow(0, sizeBytes));
  t.ok(disk.readNow(Buffer.alloc(sizeBytes), 0, sizeBytes, 0));
  t.same(await disk.extents(0, sizeBytes, 10), [{ lengthBytes: sizeBytes, zero: true, hole: true }]);
  t.same(disk.cachedExtents(0, sizeBytes, 10), [{ lengthBytes: sizeBytes, cached: true }]);
  await disk.write(Buffer.alloc(100, 7), 5000);
  await disk.writeZeroes(5020, 10, { fastOnly: true });
  await disk.writeZeroes(block * 5 + 1, 10, { fastOnly: true });
  const expected = Buffer.alloc(sizeBytes);
  expected.fill(7, 5000, 5100).fill(0, 5020, 5030);
  t.ok((await readDisk(disk, 0, sizeBytes)).equals(expected));
});

t.test('aligned writes, zeros and trims never read the base; ragged ones read their edges, once', async (t) => {
  const { disk, base } = await open(t);
  const expected = Buffer.from(below);
  const bytes = pattern(10 * block, 9);
  await disk.write(bytes, 3 * block);
  bytes.copy(expected, 3 * block);
  await disk.writeZeroes(20 * block, 5 * block);
  await disk.writeZeroes(25 * block, 5 * block, { noHole: true });
  expected.fill(0, 20 * block, 30 * block);
  await disk.trim(100 * block + 1, 3 * block);
  expected.fill(0, 101 * block, 103 * block);
  await disk.write(bytes.subarray(0, 1000), 4 * block + 100);
  bytes.copy(expected, 4 * block + 100, 0, 1000);
  await disk.flush();
  t.same(base.reads, [], 'nothing was read below');

  const edges = [
    { offset: 50 * block + 10, lengthBytes: 100, reads: [[50 * block, block]] },
    {
      offset: 60 * block + 10,
      lengthBytes: 3 * block,
      reads: [
        [60 * block, block],
        [63 * block, block],
      ],
    },
    { offset: 70 * block, lengthBytes: block + 5, reads: [[71 * block, block]] },
    { offset: 80 * block + 5, lengthBytes: block - 5, reads: [[80 * block, block]] },
    { offset: 170 * block + 5, lengthBytes: 100, reads: [[170 * block, 1234]] },
    { offset: 200 * block + 5, lengthBytes: 3 * block, reads: [] },
    { offset: 60 * block + 20, lengthBytes: 3 * block, reads: [] },
  ];
  for (const { offset, lengthBytes, reads } of edges) {
    base.reads.length = 0;
    await disk.write(bytes.subarray(0, lengthBytes), offset);
    bytes.copy(expected, offset, 0, lengthBytes);
    t.same(
      base.reads.map((read) => [read.offset, read.lengthBytes]),
      reads,
      `${lengthBytes} at ${offset}`,
    );
  }
  t.ok((await readDisk(disk, 0, sizeBytes)).equals(expected));
});

t.test('a read is put together from all places, and says the farthest', async (t) => {
  const remoteBytes = pattern(sizeBytes, 11);
  const remote = new ScriptedRemote(remoteBytes);
  const { disk, base } = await open(t, { remote }, (index) => (index >= 32 && index < 36 ? remoteState(2) : BlockState.base));
  base.source = 'cache';
  const expected = Buffer.from(below);
  remoteBytes.copy(expected, 32 * block, 32 * block, 36 * block);
  for (let index = 0; index < 30; index += 2) {
    await disk.write(pattern(block, index + 100), index * block);
    pattern(block, index + 100).copy(expected, index * block);
  }
  const target = Buffer.alloc(20 * block);
  t.ok(disk.readNow(target, 0, 5 * block + 20, 100), 'mixed');
  t.ok(target.subarray(0, 5 * block + 20).equals(expected.subarray(100, 5 * block + 120)));
  t.notOk(disk.readNow(target, 0, 20 * block, 0), 'too checkered');
  t.notOk(disk.readNow(target, 0, 2 * block, 31 * block), 'remote');
  base.isCached = false;
  t.notOk(disk.readNow(target, 0, 2 * block, 0));

  t.equal(await disk.read(target.subarray(0, 8 * block), 0), 'cache');
  t.ok(target.subarray(0, 8 * block).equals(expected.subarray(0, 8 * block)));
  t.equal(await disk.read(target.subarray(0, 4 * block + 7), 30 * block + 9), 'peer');
  t.ok(target.subarray(0, 4 * block + 7).equals(expected.subarray(30 * block + 9, 34 * block + 16)));
  t.same(remote.reads[0]?.nodeIndex, 2);
  base.source = 'origin';
  t.equal(await disk.read(target, 20 * block), 'origin');
  t.ok((await readDisk(disk, 0, sizeBytes)).equals(expected));
  t.equal(remote.reads.length, 1, 'and the remote blocks stayed');
});

t.test('a failing piece fails the read, after the others have ended', async (t) => {
  const { disk, base } = await open(t);
  await disk.write(Buffer.alloc(block), block);
  base.before = async (offset) => {
    if (offset === 0) throw new CopseError('EIO', 'no');
  };
  await t.rejects(disk.read(Buffer.alloc(10 * block), 0), { code: 'EIO' });
  await t.rejects(disk.write(Buffer.alloc(10), 5), { code: 'EIO' });
  t.same(states(disk.overlay, 0, 2), [BlockState.base, BlockState.data], 'a write without its edge wrote nothing');
  await disk.write(Buffer.alloc(block, 5), 0);
  t.equal((await readDisk(disk, 0, 1))[0], 5);
});

t.test('fast zeroes: whole blocks always, ragged ends only where they are here or zeros', async (t) => {
  const { disk, base, overlay } = await open(t);
  await t.rejects(disk.writeZeroes(100, 5 * block, { fastOnly: true }), { code: 'ENOTSUP' });
  t.same(states(overlay, 0, 6), [0, 0, 0, 0, 0, 0], 'nothing was changed');
  await disk.writeZeroes(0, 5 * block, { fastOnly: true });
  t.same(states(overlay, 0, 6), [2, 2, 2, 2, 2, 0]);
  await disk.writeZeroes(41 * block + 3, block, { fastOnly: true });
  await disk.write(Buffer.alloc(2 * block, 1), 7 * block);
  await disk.writeZeroes(7 * block + 3, block, { fastOnly: true });
  t.same([...(await readDisk(disk, 7 * block, block + 5))].filter((byte) => byte !== 0).length, 5);
  t.equal(base.reads.length, 0);
});

t.test('zeros with noHole keep their space, trims and zeros give it back when flushed', async (t) => {
  const { disk, files, overlay } = await open(t);
  await disk.writeZeroes(0, 64 * block, { noHole: true, fua: true });
  t.ok(statSync(files.dataPath).blocks * 512 >= 64 * block);
  t.equal(overlay.dataBytes, 64 * block);
  await disk.trim(0, 64 * block, { fua: true });
  t.equal(statSync(files.dataPath).blocks, 0);
  await disk.write(Buffer.alloc(64 * block, 1), 0, { fua: true });
  await disk.writeZeroes(0, 64 * block);
  await disk.flush();
  t.equal(statSync(files.dataPath).blocks, 0);
});

t.test('extents tell the truth over all places, merged, at most as many as asked for', async (t) => {
  const remote = new ScriptedRemote(Buffer.alloc(sizeBytes));
  const { disk, base } = await open(t, { remote }, (index) => (index >= 12 && index < 14 ? remoteState(1) : BlockState.base));
  await disk.write(Buffer.alloc(2 * block, 1), 10 * block);
  await disk.writeZeroes(30 * block, 10 * block);
  await disk.writeZeroes(62 * block, block, { noHole: true });
  const data = { zero: false, hole: false };
  const hole = { zero: true, hole: true };
  const all = [
    { lengthBytes: 30 * block, ...data },
    { lengthBytes: 30 * block, ...hole },
    { lengthBytes: 110 * block + 1234, ...data },
    { lengthBytes: sizeBytes - 170 * block - 1234, ...hole },
  ];
  t.same(await disk.extents(0, sizeBytes, 100), all);
  t.same(await disk.extents(0, sizeBytes, 4), all);
  for (const count of [1, 2, 3]) t.same(await disk.extents(0, sizeBytes, count), all.slice(0, count));
  t.same(await disk.extents(29 * block + 7, 2 * block, 10), [
    { lengthBytes: block - 7, ...data },
    { lengthBytes: block + 7, ...hole },
  ]);
  base.isCached = false;
  t.same(disk.cachedExtents(0, sizeBytes, 100), [
    { lengthBytes: 10 * block, cached: false },
    { lengthBytes: 2 * block, cached: true },
    { lengthBytes: 18 * block, cached: false },
    { lengthBytes: 10 * block, cached: true },
    { lengthBytes: 22 * block, cached: false },
    { lengthBytes: block, cached: true },
    { lengthBytes: 107 * block + 1234, cached: false },
    { lengthBytes: sizeBytes - 170 * block - 1234, cached: true },
  ]);
  t.same(disk.cachedExtents(0, sizeBytes, 2).length, 2);
});

t.test('cache brings what is below and what is elsewhere', async (t) => {
  const remote = new ScriptedRemote(pattern(sizeBytes, 5));
  const { disk, base, overlay } = await open(t, { remote }, (index) => (index >= 16 && index < 80 ? remoteState(1) : BlockState.base));
  await disk.write(Buffer.alloc(block), 20 * block);
  await disk.cache(8 * block, 72 * block);
  t.same(base.cached, [{ offset: 8 * block, lengthBytes: 8 * block }]);
  t.equal(overlay.remoteBytes, 0);
  t.ok(remote.reads.length <= 6, `${remote.reads.length} fetches`);
  t.ok((await readDisk(disk, 21 * block, 59 * block)).equals(remote.bytes.subarray(21 * block, 80 * block)));
});

t.test('the rest of a request’s time is passed on', async (t) => {
  const clock = { nowMs: () => now, after: () => () => {} };
  let now = 0;
  const remote = new ScriptedRemote(Buffer.alloc(sizeBytes));
  const { disk, base } = await open(t, { remote, clock }, (index) => (index === 1 ? remoteState(1) : BlockState.base));
  const { signal } = new AbortController();
  await disk.read(Buffer.alloc(2 * block), 0, { deadlineMs: 100, signal });
  t.equal(base.reads[0]?.options.deadlineMs, 100);
  t.equal(base.reads[0]?.options.signal, signal);
  t.equal(remote.reads[0]?.options.deadlineMs, 100);
  // Nineteen pieces, of which some begin after the first has taken all of the time.
  for (let index = 2; index < 40; index += 2) await disk.write(Buffer.alloc(block), index * block);
  base.before = async () => {
    now += 101;
  };
  await t.rejects(disk.read(Buffer.alloc(40 * block), 0, { deadlineMs: 100 }), { code: 'ERR_DEADLINE' });
  await t.rejects(disk.read(Buffer.alloc(block), 0, { signal: AbortSignal.abort() }), { code: 'ERR_ABORTED' });
});

t.test('it ends after what is under way, flushed; then everything is refused', async (t) => {
  const { disk, files, base } = await open(t);
  let release = (): void => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  base.before = () => held;
  const written = disk.write(Buffer.alloc(100, 9), 100);
  const closed = Promise.all([disk.close(), disk.close()]);
  await t.rejects(readDisk(disk, 0, 10), { code: 'ERR_CLOSED' });
  await t.rejects(disk.write(Buffer.alloc(1), 0), { code: 'ERR_CLOSED' });
  await t.rejects(disk.flush(), { code: 'ERR_CLOSED' });
  release();
  await written;
  await closed;
  const { disk: again } = openDisk(openOverlay(files), { base: new ScriptedBase(baseBytes) });
  closeAfter(t, again);
  const expected = Buffer.from(below.subarray(0, 300));
  expected.fill(9, 100, 200);
  t.ok((await readDisk(again, 0, 300)).equals(expected));
});
