/** Blocks on other nodes: fetched once however many ask, kept, and never over a guest's write. */
import t, { type Test } from 'tap';
import { CopseError } from '../../../src/base/error.js';
import { BlockState, type NativeOverlayFile } from '../../../src/base/native/overlay.js';
import type { DiskOptions } from '../../../src/disk/overlay/device.js';
import { pattern } from '../../conformance/content.js';
import { holds } from '../../support/wait.js';
import {
  closeAfter,
  gate,
  openDisk,
  openOverlay,
  overlayFiles,
  readDisk,
  remoteState,
  ScriptedBase,
  ScriptedRemote,
  withCalls,
  writeMap,
} from './parts.js';

const block = 4096;
const blockCount = 64;
const sizeBytes = blockCount * block;

interface Made {
  states?: (blockIndex: number) => number;
  overlay?: (overlay: NativeOverlayFile) => NativeOverlayFile;
  options?: Partial<DiskOptions>;
}

async function open(t: Test, { states = () => remoteState(1), overlay: wrap = (overlay) => overlay, options = {} }: Made = {}) {
  const files = overlayFiles(t.testdir(), sizeBytes);
  await writeMap(
    files,
    Uint8Array.from({ length: blockCount }, (_, index) => states(index)),
  );
  const remote = new ScriptedRemote(pattern(sizeBytes, 17));
  const overlay = openOverlay(files);
  const { disk, clock } = openDisk(wrap(overlay), { remote, ...options });
  closeAfter(t, disk);
  return { disk, remote, overlay, clock };
}

function ranges(remote: ScriptedRemote): [number, number][] {
  return remote.reads.map(({ offset, lengthBytes }) => [offset / block, lengthBytes / block]);
}

/** Lets everything run that waits for nothing but its turn. */
async function turns(): Promise<void> {
  for (let count = 0; count < 5; count += 1) await new Promise((resolve) => setImmediate(resolve));
}

t.test('what is fetched is as wide as its line, its node and what is here allow', async (t) => {
  const { disk, remote, overlay } = await open(t, { states: (index) => (index < 40 ? remoteState(index < 20 ? 1 : 2) : BlockState.base) });
  await disk.write(Buffer.alloc(block, 1), 5 * block);
  await readDisk(disk, 7 * block + 10, 10);
  await readDisk(disk, 0, 10);
  await readDisk(disk, 15 * block, 2 * block);
  await readDisk(disk, 21 * block, 10);
  t.same(ranges(remote), [
    [6, 10],
    [0, 5],
    [16, 4],
    [20, 12],
  ]);
  t.same(
    remote.reads.map(({ nodeIndex }) => nodeIndex),
    [1, 1, 1, 2],
  );
  // They are kept a moment after they are read.
  await holds(() => overlay.remoteBytes <= 8 * block);
  t.equal(overlay.remoteBytes, 8 * block);
  t.equal(overlay.dataBytes, 32 * block);
});

t.test('two readers share a fetch', async (t) => {
  const { disk, remote } = await open(t);
  const held = gate();
  remote.before = () => held.opened;
  const reads = [
    readDisk(disk, 0, 20 * block),
    readDisk(disk, 5 * block + 1, 100),
    readDisk(disk, 15 * block, 2 * block),
    disk.cache(0, block),
  ];
  await turns();
  t.same(ranges(remote), [
    [0, 16],
    [16, 16],
  ]);
  held.open();
  const [whole, part] = await Promise.all(reads);
  t.ok(whole?.equals(remote.bytes.subarray(0, 20 * block)));
  t.ok(part?.equals(remote.bytes.subarray(5 * block + 1, 5 * block + 101)));
  t.equal(remote.reads.length, 2);
});

t.test('a write during a fetch wins', async (t) => {
  const { disk, remote, overlay } = await open(t);
  const held = gate();
  remote.before = () => held.opened;
  const early = readDisk(disk, 0, 4 * block);
  await turns();
  await disk.write(Buffer.alloc(block, 7), block);
  await disk.trim(2 * block, block);
  t.equal((await readDisk(disk, block, 1))[0], 7, 'what was written is read at once');
  held.open();
  const bytes = await early;
  t.ok(bytes.subarray(0, block).equals(remote.bytes.subarray(0, block)));
  await disk.cache(0, sizeBytes);
  t.equal(overlay.remoteBytes, 0);
  const expected = Buffer.from(remote.bytes);
  expected.fill(7, block, 2 * block).fill(0, 2 * block, 3 * block);
  t.ok((await readDisk(disk, 0, sizeBytes)).equals(expected));
});

t.test('a ragged write completes its block from the other node, also one that is being fetched', async (t) => {
  const { disk, remote } = await open(t);
  const held = gate();
  remote.before = () => held.opened;
  const expected = Buffer.from(remote.bytes);
  const work = [readDisk(disk, 0, block), disk.write(Buffer.alloc(10, 3), block + 5), disk.writeZeroes(14 * block + 1, 3 * block)];
  expected.fill(3, block + 5, block + 15).fill(0, 14 * block + 1, 17 * block + 1);
  // That edges are wanted is found out on a native thread.
  await holds(() => remote.reads.length >= 2);
  await t.rejects(disk.writeZeroes(40 * block + 1, block, { fastOnly: true }), { code: 'ENOTSUP' });
  held.open();
  await Promise.all(work);
  t.equal(remote.reads.length, 2);
  t.ok((await readDisk(disk, 0, sizeBytes)).equals(expected));
});

t.test('a fill that fails fails no read', async (t) => {
  let failing = true;
  const { disk, remote, overlay } = await open(t, {
    overlay: (overlay) =>
      withCalls(overlay, {
        fill: (...args) => (failing ? Promise.reject(new CopseError('ENOSPC', 'full')) : overlay.fill(...args)),
      }),
  });
  for (const count of [1, 2]) {
    t.ok((await readDisk(disk, 100, 1000)).equals(remote.bytes.subarray(100, 1100)));
    await turns();
    t.equal(remote.reads.length, count, 'it is fetched again');
  }
  await t.rejects(disk.cache(0, block), { code: 'ENOSPC' });
  t.equal(overlay.remoteBytes, sizeBytes);
  failing = false;
  await disk.cache(0, block);
  t.equal(overlay.remoteBytes, sizeBytes - 16 * block);
});

t.test('a node that fails fails the read, unless the block has come meanwhile', async (t) => {
  const { disk, remote } = await open(t);
  remote.before = () => Promise.reject(new CopseError('ERR_PEER_GONE', 'gone'));
  await t.rejects(readDisk(disk, 0, 10), { code: 'ERR_PEER_GONE' });
  await t.rejects(disk.write(Buffer.alloc(1), 0), { code: 'ERR_PEER_GONE' });
  await t.rejects(disk.cache(0, sizeBytes), { code: 'ERR_PEER_GONE' });
  const held = gate();
  remote.before = () => held.opened;
  const read = readDisk(disk, 3 * block, 10);
  await turns();
  await disk.write(Buffer.alloc(block, 9), 3 * block);
  held.fail(new CopseError('ERR_PEER_GONE', 'gone'));
  t.equal((await read)[0], 9);
  remote.before = () => Promise.resolve();
  t.ok((await readDisk(disk, 0, 10)).equals(remote.bytes.subarray(0, 10)), 'and it comes back');
});

t.test('who knows no nodes reads none of their blocks', async (t) => {
  const { disk } = await open(t, { options: { remote: undefined } });
  await t.rejects(readDisk(disk, 0, 10), { code: 'ERR_NO_REMOTE' });
  await disk.write(Buffer.alloc(block, 1), 0);
  t.equal((await readDisk(disk, 0, 10))[0], 1);
});

t.test('a fetch ends with its last reader, and outlives the first', async (t) => {
  const { disk, remote, clock } = await open(t);
  const held = gate();
  remote.before = ({ options }) =>
    Promise.race([
      held.opened,
      new Promise<void>((_, reject) => options.signal?.addEventListener('abort', () => reject(new CopseError('ERR_ABORTED', 'gone')))),
    ]);
  const [first, second, third] = [new AbortController(), new AbortController(), new AbortController()];
  const reads = [first, second].map(({ signal }) => readDisk(disk, 0, 10, { signal }));
  const other = readDisk(disk, 40 * block, 10, { signal: third.signal });
  await turns();
  first.abort();
  third.abort();
  await t.rejects(other, { code: 'ERR_ABORTED' });
  await t.rejects(reads[0] ?? other, { code: 'ERR_ABORTED' });
  t.equal(remote.reads[0]?.options.signal?.aborted, false);
  t.equal(remote.reads[1]?.options.signal?.aborted, true, 'nobody waits for that one');
  second.abort();
  await t.rejects(reads[1] ?? other, { code: 'ERR_ABORTED' });
  t.equal(remote.reads[0]?.options.signal?.aborted, true);

  // One that began with little time fails with it; who shares it and has more begins another.
  remote.reads.length = 0;
  const early = gate();
  remote.before = ({ options }) => (options.deadlineMs === 50 ? early.opened : held.opened);
  const hasty = readDisk(disk, 0, 10, { deadlineMs: 50 });
  const patient = readDisk(disk, 0, 10, { deadlineMs: 1000 });
  await turns();
  t.equal(remote.reads.length, 1);
  clock.advance(50);
  await t.rejects(hasty, { code: 'ERR_DEADLINE' });
  early.fail(new CopseError('ERR_DEADLINE', 'late'));
  await turns();
  t.equal(remote.reads.length, 2);
  t.equal(remote.reads[1]?.options.deadlineMs, 950);
  held.open();
  t.ok((await patient).equals(remote.bytes.subarray(0, 10)));
  await disk.close();
  t.equal(clock.timerCount, 0);
});

t.test('remote blocks over a base, both read together', async (t) => {
  const base = new ScriptedBase(pattern(sizeBytes, 2));
  const { disk, remote } = await open(t, { options: { base }, states: (index) => (index % 3 === 0 ? remoteState(1) : BlockState.base) });
  const expected = Buffer.from(base.bytes);
  for (let at = 0; at < sizeBytes; at += 3 * block) remote.bytes.copy(expected, at, at, at + block);
  const held = gate();
  remote.before = () => held.opened;
  base.before = () => held.opened;
  const read = readDisk(disk, 0, 8 * block);
  await turns();
  t.equal(remote.reads.length, 3);
  t.equal(base.reads.length, 3);
  held.open();
  t.ok((await read).equals(expected.subarray(0, 8 * block)));
  t.ok((await readDisk(disk, 0, sizeBytes)).equals(expected));
});
