/** The map of an overlay: marks of changes, copies, whole maps written at once, growth. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { native } from '../../src/base/native/loader.js';
import { BlockState, blockBytes, type NativeOverlayFile, type OverlayFileOptions } from '../../src/base/native/overlay.js';

const { base, data, zero, remote } = BlockState;
const changed = 4;
const blockCount = 1100;
const wrong = (value: unknown): never => value as never;

function optionsIn(directory: string): OverlayFileOptions {
  const paths = { dataPath: join(directory, 'data'), mapPath: join(directory, 'map') };
  return { ...paths, sizeBytes: blockCount * blockBytes, recordsOffset: 4096, recordSeed: 0xabcdef01 };
}

function openNew(t: Test): NativeOverlayFile {
  const file = native.openOverlayFile(optionsIn(t.testdir()));
  t.teardown(() => file.close());
  return file;
}

const write = (file: NativeOverlayFile, block: number, count = 1): Promise<boolean> =>
  file.write(Buffer.alloc(count * blockBytes, 7), 0, count * blockBytes, block * blockBytes, undefined);

function copyOf(file: NativeOverlayFile, takeChanges = false, count = blockCount): number[] {
  const target = Buffer.alloc(count);
  file.copyMap(target, 0, 0, count, takeChanges);
  return [...target];
}

t.test('changes are marked while they are tracked', async (t) => {
  const file = openNew(t);
  await write(file, 0);
  t.equal(file.changedBytes, 0, 'not tracked yet');
  file.trackChanges(true);
  t.equal(file.changedBytes, 0, 'what was there before is not marked');
  await write(file, 1);
  await write(file, 0);
  await file.zero(2 * blockBytes, blockBytes, { allocate: false }, undefined);
  await file.zero(3 * blockBytes, blockBytes, { allocate: true }, undefined);
  await file.trim(4 * blockBytes, blockBytes);
  await file.write(Buffer.alloc(10), 0, 10, 100, undefined);
  t.equal(file.changedBytes, 5 * blockBytes);
  const expected = [data, data, zero, data, zero].map((state) => state | changed);
  t.same(copyOf(file, false, 6), [...expected, base], 'looked at');
  t.same(copyOf(file, true, 4), expected.slice(0, 4), 'taken');
  t.equal(file.changedBytes, blockBytes, 'those that were not copied keep theirs');
  t.same(copyOf(file, true, 6), [data, data, zero, data, zero | changed, base]);
  await write(file, 1);
  t.equal(file.changedBytes, blockBytes, 'again');
  file.trackChanges(false);
  t.equal(file.changedBytes, 0);
  await write(file, 1);
  t.same(copyOf(file, false, 6), [data, data, zero, data, zero, base]);
});

t.test('tracking may begin with all that is not base', async (t) => {
  const file = openNew(t);
  await write(file, 505, 6);
  await file.trim(1000 * blockBytes, 2 * blockBytes);
  file.trackChanges(true, true);
  t.equal(file.changedBytes, 8 * blockBytes);
  t.same(
    copyOf(file, true).flatMap((byte, block) => (byte === base ? [] : [[block, byte]])),
    [505, 506, 507, 508, 509, 510, 1000, 1001].map((block) => [block, (block < 1000 ? data : zero) | changed]),
  );
  t.equal(file.changedBytes, 0);
});

t.test('marks are not on the disk', async (t) => {
  const options = optionsIn(t.testdir());
  const file = native.openOverlayFile(options);
  file.trackChanges(true);
  await write(file, 3);
  await file.flush();
  await file.close();
  const again = native.openOverlayFile(options);
  t.equal(again.changedBytes, 0);
  t.same(copyOf(again, false, 5), [base, base, base, data, base]);
  await again.close();
});

t.test('a copy goes where it is asked to go', async (t) => {
  const file = openNew(t);
  await write(file, 1);
  const target = Buffer.alloc(10, 0xee);
  file.copyMap(target, 3, 1, 4, false);
  t.same([...target], [0xee, 0xee, 0xee, data, base, base, base, 0xee, 0xee, 0xee]);
  file.copyMap(target, 10, blockCount, 0, true);
});

t.test('a map that is written at once', async (t) => {
  const options = optionsIn(t.testdir());
  const states = new Uint8Array(blockCount);
  states.set([base, data | changed, zero, remote | (31 << 3), remote | changed | (1 << 3), changed], 0);
  states[blockCount - 1] = zero;
  await native.writeOverlayMap({ ...options, header: Buffer.from('{"copse":1}\n') }, states);
  const info = statSync(options.mapPath);
  t.equal(info.size, 4096 + 3 * 512);
  t.equal(info.mode & 0o777, 0o600);
  const bytes = readFileSync(options.mapPath);
  t.equal(bytes.toString('latin1', 0, 13), '{"copse":1}\n\0');
  t.same(bytes.subarray(4096 + 512, 4096 + 1024), Buffer.alloc(512), 'nothing but base');
  const bound = Buffer.alloc(8 + 508);
  bound.writeUInt32LE(options.recordSeed, 0);
  bytes.copy(bound, 8, 4096, 4096 + 508);
  t.equal(bytes.readUInt32LE(4096 + 508), native.crc32c(bound), 'sealed as it is told');
  const file = native.openOverlayFile(options);
  t.same(copyOf(file, false, 7), [base, data, zero, remote | (31 << 3), remote | (1 << 3), base, base]);
  t.same([...file.runs(3 * blockBytes, 2 * blockBytes, 5)], [remote, 31, blockBytes, remote, 1, blockBytes]);
  t.same([file.dataBytes, file.zeroBytes, file.remoteBytes], [blockBytes, 2 * blockBytes, 2 * blockBytes]);
  t.equal(file.dirty, false);
  await file.close();
  await t.rejects(native.writeOverlayMap({ ...options, header: Buffer.alloc(0) }, states), { code: 'EEXIST' });
  t.same(readFileSync(options.mapPath), bytes, 'the one that is there stays');
});

t.test('a map of nothing but base takes no space', async (t) => {
  const options = { ...optionsIn(t.testdir()), header: Buffer.alloc(0) };
  await native.writeOverlayMap(options, new Uint8Array(1 << 20));
  t.equal(statSync(options.mapPath).blocks, 0);
  t.equal(statSync(options.mapPath).size, 4096 + Math.ceil((1 << 20) / 508) * 512);
});

t.test('a long map is written whole', async (t) => {
  const options = optionsIn(t.testdir());
  const count = 508 * 5000 + 3;
  const states = Uint8Array.from({ length: count }, (_, block) => (Math.floor(block / 508) % 7 === 3 ? base : 1 + (block % 2)));
  await native.writeOverlayMap({ ...options, header: Buffer.alloc(4096, 1) }, states);
  const file = native.openOverlayFile({ ...options, sizeBytes: count * blockBytes });
  const copy = new Uint8Array(count);
  file.copyMap(copy, 0, 0, count, false);
  t.ok(Buffer.from(copy).equals(Buffer.from(states)));
  await file.close();
});

t.test('what can not become a map', async (t) => {
  const options = { ...optionsIn(t.testdir()), header: Buffer.alloc(0) };
  await t.rejects(native.writeOverlayMap({ ...options, mapPath: join(t.testdirName, 'no', 'map') }, new Uint8Array(9)), { code: 'ENOENT' });
  t.throws(() => native.writeOverlayMap({ ...options, header: Buffer.alloc(4097) }, new Uint8Array(1)), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => native.writeOverlayMap({ ...options, header: wrong('x') }, new Uint8Array(1)), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => native.writeOverlayMap(options, wrong([1])), { code: 'ERR_INVALID_ARG_TYPE' });
});

t.test('an overlay grows by being opened with a larger size', async (t) => {
  const options = optionsIn(t.testdir());
  const small = native.openOverlayFile(options);
  await write(small, blockCount - 1);
  await small.trim(0, blockBytes);
  await small.flush();
  await small.close();
  const grown = { ...options, sizeBytes: options.sizeBytes + 1000 * blockBytes };
  for (const round of [1, 2]) {
    const large = native.openOverlayFile(grown);
    const tail = round === 1 ? [base, 0, 1000 * blockBytes] : [data, 0, blockBytes, base, 0, 999 * blockBytes];
    // The second time the first block of the new part goes on where the old part ended.
    const expected = [zero, 0, blockBytes, base, 0, (blockCount - 2) * blockBytes, data, 0, blockBytes, ...tail];
    if (round === 2) expected.splice(6, 6, data, 0, 2 * blockBytes);
    t.same([...large.runs(0, grown.sizeBytes, 9)], expected);
    t.equal(statSync(options.dataPath).size, grown.sizeBytes);
    await write(large, blockCount);
    await large.flush();
    await large.close();
  }
});

t.test('what is zero and still has bytes in the file is punched after opening', async (t) => {
  const options = optionsIn(t.testdir());
  const file = native.openOverlayFile(options);
  await write(file, 10, 20);
  await file.flush();
  await file.close();
  // As a crash leaves it between the sync of the map and the punch.
  const states = Uint8Array.from({ length: blockCount }, (_, block) => (block < 5 ? zero : block < 15 ? zero : block < 30 ? data : base));
  const mapPath = `${options.mapPath}-2`;
  await native.writeOverlayMap({ ...options, mapPath, header: Buffer.alloc(0) }, states);
  const again = native.openOverlayFile({ ...options, mapPath });
  const full = again.allocatedBytes();
  t.ok(full >= 20 * blockBytes);
  t.equal(again.dirty, true);
  while (again.dirty) await again.flush();
  // A file system counts what it needs to find the data, too: where that lies in many pieces, a block more.
  const freedBytes = full - again.allocatedBytes();
  t.ok(freedBytes >= 4 * blockBytes && freedBytes <= 6 * blockBytes, `${freedBytes} bytes are free again`);
  const target = Buffer.alloc(20 * blockBytes);
  t.equal(await again.read(target, 0, target.length, 10 * blockBytes), true);
  t.ok(target.equals(Buffer.alloc(target.length, 7).fill(0, 0, 5 * blockBytes)));
  await again.close();
});

t.test('the rest of the map file is the caller’s', async (t) => {
  const options = optionsIn(t.testdir());
  writeFileSync(options.mapPath, Buffer.alloc(4096, 'mine'));
  const file = native.openOverlayFile(options);
  await write(file, 0, 1100);
  await file.flush();
  await file.close();
  t.ok(readFileSync(options.mapPath).subarray(0, 4096).equals(Buffer.alloc(4096, 'mine')));
});
