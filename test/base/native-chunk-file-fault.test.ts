import { existsSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { errorCode } from '../../src/base/error.js';
import { type ChunkFileOptions, ChunkState, type NativeChunkFile, ReadNow } from '../../src/base/native/chunk.js';
import { native } from '../../src/base/native/loader.js';
import { memoryMount } from '../support/memory-mount.js';

const chunkBytes = 4096;
const chunkCount = 16;
const recordsOffset = 64;

function optionsIn(directory: string): ChunkFileOptions {
  const paths = { dataPath: join(directory, 'data'), mapPath: join(directory, 'map') };
  return { ...paths, sizeBytes: chunkCount * chunkBytes, chunkBytes, recordsOffset, recordSeed: 9, trusted: true };
}

/** Odd chunks are data, chunks 4, 8 and 12 zeros. Returns the states. */
async function fill(options: ChunkFileOptions): Promise<number[]> {
  const file = native.openChunkFile(options);
  for (let index = 1; index < chunkCount; index += 2) await file.store(index, Buffer.alloc(chunkBytes, index), 0);
  for (const index of [4, 8, 12]) await file.storeZero(index, 1);
  const states = Array.from({ length: chunkCount }, (_, index) => file.state(index));
  await file.close();
  return states;
}

async function statesOf(options: ChunkFileOptions): Promise<number[]> {
  const file = native.openChunkFile(options);
  const states = Array.from({ length: chunkCount }, (_, index) => file.state(index));
  await file.close();
  return states;
}

t.test('a record with any flipped bit is absent, and no other is touched', async (t) => {
  const options = optionsIn(t.testdir());
  const states = await fill(options);
  const map = readFileSync(options.mapPath);
  await fc.assert(
    fc.asyncProperty(fc.nat(chunkCount - 1), fc.nat(63), async (index, bit) => {
      const damaged = Buffer.from(map);
      const at = recordsOffset + index * 8 + (bit >> 3);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (bit & 7));
      writeFileSync(options.mapPath, damaged);
      const expected = states.map((state, other) => (other === index ? ChunkState.absent : state));
      t.same(await statesOf(options), expected);
    }),
  );
});

t.test('records of other chunks, torn records and a short map are absent', async (t) => {
  const options = optionsIn(t.testdir());
  const states = await fill(options);
  const map = readFileSync(options.mapPath);
  const moved = Buffer.from(map);
  map.copy(moved, recordsOffset + 8 * 2, recordsOffset + 8 * 1, recordsOffset + 8 * 2);
  map.copy(moved, recordsOffset + 8 * 3, recordsOffset + 8 * 4, recordsOffset + 8 * 5);
  writeFileSync(options.mapPath, moved);
  t.same(await statesOf(options), states.with(3, ChunkState.absent));
  writeFileSync(options.mapPath, map.subarray(0, recordsOffset + 8 * 5 + 5));
  t.same(
    await statesOf(options),
    states.map((state, index) => (index < 5 ? state : ChunkState.absent)),
  );
  writeFileSync(options.mapPath, '');
  t.same(await statesOf(options), Array(chunkCount).fill(ChunkState.absent));
});

t.test('a data file that was cut or exchanged is not opened: what it lacks would be zeros', async (t) => {
  const options = optionsIn(t.testdir());
  await fill(options);
  const target = Buffer.alloc(chunkBytes);
  const refused = async (file: NativeChunkFile, what: string, code = 'ESTALE'): Promise<void> => {
    t.not(file.readNow(target, 0, chunkBytes, 5 * chunkBytes), ReadNow.hit, what);
    await t.rejects(file.read(target, 0, chunkBytes, 5 * chunkBytes), { code }, what);
    await t.rejects(file.verify(5), { code }, what);
    await t.rejects(file.store(6, target, 0), { code }, what);
  };
  const whole = readFileSync(options.dataPath);
  const file = native.openChunkFile(options);
  t.equal(file.isOpen, false);
  truncateSync(options.dataPath, 3 * chunkBytes + 100);
  await refused(file, 'cut before it was opened');
  truncateSync(options.dataPath, 0);
  writeFileSync(options.dataPath, whole);
  t.equal(await file.read(target, 0, chunkBytes, 5 * chunkBytes), true, 'whole again');
  t.equal(file.isOpen, true);
  t.equal(await file.park(), true);
  t.equal(file.isOpen, false);
  truncateSync(options.dataPath, 3 * chunkBytes);
  await refused(file, 'cut while it was parked');
  writeFileSync(`${options.dataPath}.copy`, whole);
  renameSync(`${options.dataPath}.copy`, options.dataPath);
  await refused(file, 'exchanged while it was parked');
  rmSync(options.dataPath);
  await refused(file, 'removed while it was parked', 'ENOENT');
  t.equal(existsSync(options.dataPath), false, 'and not made anew');
  await file.close();
});

t.test('a data file that is cut under an open file is an error, never zeros', async (t) => {
  const options = optionsIn(t.testdir());
  await fill(options);
  const file = native.openChunkFile(options);
  const target = Buffer.alloc(chunkBytes);
  t.equal(await file.read(target, 0, chunkBytes, 5 * chunkBytes), true);
  truncateSync(options.dataPath, 3 * chunkBytes);
  t.not(file.readNow(target, 0, chunkBytes, 5 * chunkBytes), 0);
  await t.rejects(file.read(target, 0, chunkBytes, 5 * chunkBytes), { code: 'EIO' });
  await file.close();
});

t.test('a file that is in use keeps its descriptors', async (t) => {
  const options = optionsIn(t.testdir());
  await fill(options);
  const file = native.openChunkFile(options);
  const target = Buffer.alloc(chunkBytes);
  const reading = file.read(target, 0, chunkBytes, 5 * chunkBytes);
  t.equal(file.isInUse, true);
  t.equal(await file.park(), false);
  t.equal(await reading, true);
  t.equal(await file.park(), true);
  t.equal(await file.park(), false, 'nothing to close');
  t.equal(await file.store(1, Buffer.alloc(chunkBytes, 7), 0), ChunkState.present, 'opened again by whoever needs it');
  t.equal(await file.read(target, 0, chunkBytes, chunkBytes), true);
  t.ok(target.equals(Buffer.alloc(chunkBytes, 7)));
  await file.close();
});

t.test('a map of holes is not read, one with records is', async (t) => {
  const options = { ...optionsIn(t.testdir()), sizeBytes: 2 ** 41, chunkBytes: 65_536 };
  const first = native.openChunkFile(options);
  const last = first.chunkCount - 1;
  for (const index of [0, 9_000_000, last]) await first.storeZero(index, 1);
  await first.close();
  const later = native.openChunkFile({ ...options, load: false });
  t.same([...later.runs(0, last + 1, 10)], [0, last + 1]);
  await later.load();
  t.same([...later.runs(0, last + 1, 10)], [2, 1, 0, 8_999_999, 2, 1, 0, last - 9_000_001, 2, 1]);
  await later.close();
});

t.test('a full disk fails the store and nothing else', async (t) => {
  const directory = memoryMount(t, 'tmpfs', 'size=1m');
  if (directory === undefined) return;
  const many = 512;
  const file = native.openChunkFile({ ...optionsIn(directory), sizeBytes: many * chunkBytes });
  let failedAt = -1;
  for (let index = 0; index < many && failedAt < 0; index += 1) {
    await file.store(index, Buffer.alloc(chunkBytes, (index % 255) | 1), 0).catch((error: unknown) => {
      t.equal(errorCode(error), 'ENOSPC');
      failedAt = index;
    });
  }
  t.ok(failedAt > 100, `full at ${failedAt}`);
  t.equal(file.state(failedAt), ChunkState.absent);
  t.equal(file.dataBytes, failedAt * chunkBytes);
  const target = Buffer.alloc(chunkBytes);
  t.equal(await file.read(target, 0, chunkBytes, 0), true);
  t.same(target, Buffer.alloc(chunkBytes, 1));
  t.equal(await file.evict(Uint32Array.of(0, 1)), 2 * chunkBytes);
  t.equal(await file.store(failedAt, Buffer.alloc(chunkBytes, 3), 0), ChunkState.present, 'what was evicted makes room');
  await file.close();
});

t.test('a file system without holes says so', async (t) => {
  const directory = memoryMount(t, 'ramfs', 'mode=700');
  if (directory === undefined) return;
  const file = native.openChunkFile(optionsIn(directory));
  await file.store(2, Buffer.alloc(chunkBytes, 7), 0);
  await t.rejects(file.evict(Uint32Array.of(2)), { code: 'ENOTSUP' });
  t.equal(file.state(2), ChunkState.absent);
  await file.close();
  const block = native.openBlockFile(join(directory, 'block'), { write: true, create: true });
  await block.write(Buffer.alloc(16384, 7), 0, 16384, 0, false);
  await t.rejects(block.zero(0, 16384, { punch: true, fastOnly: true }), { code: 'ENOTSUP' });
  await block.zero(100, 9000, { punch: true, fastOnly: false });
  const target = Buffer.alloc(16384);
  await block.read(target, 0, 16384, 0);
  t.ok(target.equals(Buffer.alloc(16384, 7).fill(0, 100, 9100)));
  await block.close();
});
