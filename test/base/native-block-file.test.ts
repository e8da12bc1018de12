import { randomBytes } from 'node:crypto';
import { open, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { NativeBlockFile } from '../../src/base/native/block.js';
import { native } from '../../src/base/native/loader.js';

const KiB = 1024;
const wrong = (value: unknown): never => value as never;

async function readAll(file: NativeBlockFile, offset: number, lengthBytes: number): Promise<Buffer> {
  const target = Buffer.alloc(lengthBytes, 0xee);
  await file.read(target, 0, lengthBytes, offset);
  return target;
}

async function openNew(t: Test, sizeBytes: number, options: { direct?: boolean } = {}): Promise<NativeBlockFile> {
  const file = native.openBlockFile(join(t.testdir(), 'file'), { write: true, create: true, ...options });
  t.teardown(() => file.close());
  await file.truncate(sizeBytes);
  return file;
}

t.test('open', async (t) => {
  const dir = t.testdir({ small: 'abc', folder: {} });
  t.throws(() => native.openBlockFile(join(dir, 'none'), { write: false }), { code: 'ENOENT', syscall: 'open', path: join(dir, 'none') });
  t.throws(() => native.openBlockFile(join(dir, 'folder'), { write: false }), { code: 'EISDIR' });
  t.throws(() => native.openBlockFile(wrong(3), { write: false }), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => native.openBlockFile('a\0b', { write: false }), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => native.openBlockFile(dir, wrong({})), { code: 'ERR_INVALID_ARG_TYPE' });
  const created = native.openBlockFile(join(dir, 'new'), { write: true, create: true });
  t.equal(created.sizeBytes, 0);
  t.equal((await stat(join(dir, 'new'))).mode & 0o777, 0o600);
  await created.close();
  const readOnly = native.openBlockFile(join(dir, 'small'), { write: false });
  t.equal(readOnly.sizeBytes, 3);
  await t.rejects(readOnly.write(Buffer.from('x'), 0, 1, 0, false), { code: 'EBADF' });
  await readOnly.close();
});

t.test('reads give what was written, and zeros beyond the end', async (t) => {
  const file = await openNew(t, 10);
  await file.write(Buffer.from('..hello'), 2, 5, 5, false);
  t.same(await readAll(file, 3, 10), Buffer.from('\0\0hello\0\0\0'));
  t.same(await readAll(file, 1000, 4), Buffer.alloc(4));
  t.equal(file.sizeBytes, 10);
  await file.truncate(7);
  t.equal(file.sizeBytes, 7);
  t.same(await readAll(file, 5, 4), Buffer.from('he\0\0'));
});

t.test('readNow fills from the page cache, into its part of the target alone', async (t) => {
  const file = await openNew(t, 64 * KiB);
  await file.write(Buffer.alloc(64 * KiB, 7), 0, 64 * KiB, 0, false);
  const target = Buffer.alloc(16);
  t.equal(file.readNow(target, 4, 8, 4090), true);
  t.same(target, Buffer.from([0, 0, 0, 0, 7, 7, 7, 7, 7, 7, 7, 7, 0, 0, 0, 0]));
  t.equal(file.readNow(target, 0, 16, 64 * KiB - 8), false, 'not all of it exists');
  t.equal(file.readNow(target, 16, 0, 0), true, 'nothing is there at once');
});

t.test('readNow is false where the file system refuses the question', async (t) => {
  const file = native.openBlockFile(`/dev/shm/copse-test-${process.pid}`, { write: true, create: true });
  const { unlink } = await import('node:fs/promises');
  await unlink(`/dev/shm/copse-test-${process.pid}`);
  await file.write(Buffer.alloc(4096, 9), 0, 4096, 0, true);
  const target = Buffer.alloc(4096);
  // Newer kernels answer for tmpfs too: either way never a wrong byte.
  for (let round = 0; round < 3; round += 1) {
    if (file.readNow(target, 0, 4096, 0)) t.ok(target.every((byte) => byte === 9));
  }
  t.same(await readAll(file, 0, 4096), Buffer.alloc(4096, 9));
  await file.zero(100, 8192, { punch: true, fastOnly: false });
  await file.zero(0, 4096, { punch: false, fastOnly: false });
  t.same(await readAll(file, 0, 4096), Buffer.alloc(4096));
  await file.close();
});

t.test('zero: holes where asked, allocated otherwise, exact at ragged ends', async (t) => {
  const file = await openNew(t, 256 * KiB);
  const full = Buffer.alloc(256 * KiB, 0xaa);
  for (const [offset, length] of [
    [100, 50],
    [100, 5000],
    [4096, 4096],
    [5000, 100_000],
    [4000, 200],
    [0, 256 * KiB],
    [7, 0],
  ] as const) {
    for (const punch of [true, false]) {
      await file.write(full, 0, full.length, 0, false);
      await file.sync();
      const before = file.allocatedBytes();
      await file.zero(offset, length, { punch, fastOnly: false });
      const expected = Buffer.from(full).fill(0, offset, offset + length);
      t.ok((await readAll(file, 0, full.length)).equals(expected), `${offset}+${length} punch ${punch}`);
      const start = Math.ceil(offset / 4096) * 4096;
      const wholeBytes = Math.max(0, Math.floor((offset + length) / 4096) * 4096 - start);
      // A file system counts what it needs to find the data, too: where that lies in more pieces, a block more.
      if (punch) t.ok(file.allocatedBytes() <= before - wholeBytes + 4096, 'whole pages are free');
      else t.ok(file.allocatedBytes() >= before, 'still allocated');
      if (punch && wholeBytes > 0) t.same([...(await file.extents(start, wholeBytes, 10))], [wholeBytes, 1], 'all of them');
    }
  }
});

t.test('extents follow holes', async (t) => {
  const file = await openNew(t, 256 * KiB);
  await file.write(Buffer.alloc(64 * KiB, 1), 0, 64 * KiB, 64 * KiB, true);
  t.same([...(await file.extents(0, 256 * KiB, 10))], [64 * KiB, 1, 64 * KiB, 0, 128 * KiB, 1]);
  t.same([...(await file.extents(70 * KiB, 100 * KiB, 10))], [58 * KiB, 0, 42 * KiB, 1]);
  t.same([...(await file.extents(0, 256 * KiB, 1))], [64 * KiB, 1]);
  t.same([...(await file.extents(0, 512 * KiB, 10))], [64 * KiB, 1, 64 * KiB, 0, 384 * KiB, 1], 'beyond the end is a hole');
  t.same([...(await file.extents(0, 0, 10))], []);
});

t.test('many writes and zeros at random come to what a Buffer comes to', async (t) => {
  const sizeBytes = 128 * KiB;
  for (const direct of [false, true]) {
    const file = await openNew(t, sizeBytes, { direct });
    const range = fc.tuple(fc.nat(sizeBytes - 1), fc.nat(40 * KiB), fc.boolean()).map(([offset, length, aligned]) => {
      const start = aligned ? offset & ~4095 : offset;
      const size = aligned ? (length + 4095) & ~4095 : length;
      return { start, size: Math.min(size, sizeBytes - start) };
    });
    const step = fc.record({ range, kind: fc.constantFrom('write', 'durable', 'punch', 'zero'), fill: fc.integer({ min: 1, max: 255 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        await file.truncate(0);
        await file.truncate(sizeBytes);
        const model = Buffer.alloc(sizeBytes);
        for (const {
          range: { start, size },
          kind,
          fill,
        } of steps) {
          const write = kind === 'write' || kind === 'durable';
          model.fill(write ? fill : 0, start, start + size);
          if (write) await file.write(Buffer.alloc(size + 3, fill), 3, size, start, kind === 'durable');
          else await file.zero(start, size, { punch: kind === 'punch', fastOnly: false });
        }
        return (await readAll(file, 0, sizeBytes)).equals(model);
      }),
      { numRuns: 40 },
    );
  }
});

t.test('direct reads at a ragged end of the file', async (t) => {
  const path = join(t.testdir(), 'ragged');
  const content = randomBytes(3 * 4096 + 777);
  await writeFile(path, content);
  const file = native.openBlockFile(path, { write: true, direct: true });
  const expected = Buffer.concat([content, Buffer.alloc(4096)]).subarray(0, 4 * 4096);
  t.ok((await readAll(file, 0, 4 * 4096)).equals(expected));
  t.ok((await readAll(file, 4095, 8192)).equals(expected.subarray(4095, 4095 + 8192)));
  await file.close();
  t.ok((await readFile(path)).equals(content));
});

t.test('wrong arguments throw, from promises too', async (t) => {
  const file = await openNew(t, 4096);
  const buffer = Buffer.alloc(16);
  for (const call of [file.readNow.bind(file), file.read.bind(file)] as ((...args: unknown[]) => unknown)[]) {
    t.throws(() => call(buffer, 8, 9, 0), { code: 'ERR_OUT_OF_RANGE' });
    t.throws(() => call(buffer, 17, 0, 0), { code: 'ERR_OUT_OF_RANGE' });
    t.throws(() => call(buffer, 0, 1, -1), { code: 'ERR_OUT_OF_RANGE' });
    t.throws(() => call(buffer, 0, 1, 2 ** 53), { code: 'ERR_OUT_OF_RANGE' });
    t.throws(() => call(buffer, 0, 1, Number.POSITIVE_INFINITY), { code: 'ERR_OUT_OF_RANGE' });
    t.throws(() => call(buffer, 0, 1.5, 0), { code: 'ERR_OUT_OF_RANGE' });
    t.throws(() => call(buffer, 0, 1), { code: 'ERR_INVALID_ARG_TYPE' });
    t.throws(() => call(buffer, 0, 1n, 0), { code: 'ERR_INVALID_ARG_TYPE' });
    t.throws(() => call(new DataView(new ArrayBuffer(8)), 0, 1, 0), { code: 'ERR_INVALID_ARG_TYPE' });
    t.throws(() => call(null, 0, 1, 0), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  t.throws(() => file.write(buffer, 0, 16, 0, wrong('yes')), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => file.zero(0, 1, wrong(undefined)), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => file.truncate(-5), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => file.extents(0, 2 ** 53, 1), { code: 'ERR_OUT_OF_RANGE' });
});

t.test('methods want a file of their own kind', async (t) => {
  const file = await openNew(t, 4096);
  const chunks = native.openChunkFile({
    dataPath: join(t.testdirName, 'data'),
    mapPath: join(t.testdirName, 'map'),
    sizeBytes: 4096,
    chunkBytes: 4096,
    recordsOffset: 0,
    recordSeed: 0,
    trusted: true,
  });
  const method = Object.getPrototypeOf(file);
  t.throws(() => method.readNow.call({}, Buffer.alloc(1), 0, 1, 0), TypeError);
  t.throws(() => method.readNow.call(chunks, Buffer.alloc(1), 0, 1, 0), TypeError);
  t.throws(() => method.readNow.call(Object.create(file), Buffer.alloc(1), 0, 1, 0), TypeError);
  const size = Object.getOwnPropertyDescriptor(method, 'sizeBytes')?.get;
  t.throws(() => size?.call(chunks), TypeError);
  t.throws(() => size?.call({}), TypeError);
  t.throws(() => size?.call(undefined), TypeError);
  t.throws(() => new method.constructor(), TypeError);
  t.throws(() => method.constructor(), TypeError);
  await chunks.close();
});

t.test('close waits for what is under way, and is the end', async (t) => {
  const path = join(t.testdir(), 'file');
  const file = native.openBlockFile(path, { write: true, create: true });
  const writes = Array.from({ length: 50 }, (_, index) => file.write(Buffer.alloc(4096, index + 1), 0, 4096, index * 4096, false));
  let written = 0;
  for (const write of writes) void write.then(() => (written += 1));
  const closes = [file.close(), file.close()];
  await t.rejects(file.read(Buffer.alloc(1), 0, 1, 0), { code: 'ERR_CLOSED' });
  await t.rejects(file.sync(), { code: 'ERR_CLOSED' });
  t.throws(() => file.readNow(Buffer.alloc(1), 0, 1, 0), { code: 'ERR_CLOSED' });
  t.throws(() => file.allocatedBytes(), { code: 'ERR_CLOSED' });
  t.throws(() => file.sizeBytes, { code: 'ERR_CLOSED' });
  await Promise.all(closes);
  t.equal(written, 50);
  await file.close();
  await t.rejects(file.truncate(0), { code: 'ERR_CLOSED' });
  const handle = await open(path);
  t.equal((await handle.stat()).size, 50 * 4096);
  await handle.close();
});
