/** A local file as a device, against a plain Buffer. */
import { closeSync, openSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { FileDevice } from '../../src/device/file.js';

const sizeBytes = 1024 * 1024;

function open(t: Test): { device: FileDevice; path: string } {
  const path = join(t.testdir(), 'disk');
  closeSync(openSync(path, 'w'));
  truncateSync(path, sizeBytes);
  const device = new FileDevice(path);
  t.after(() => device.close());
  return { device, path };
}

async function read(device: FileDevice, offset: number, lengthBytes: number): Promise<Buffer> {
  const target = Buffer.alloc(lengthBytes, 0xaa);
  await device.read(target, offset);
  return target;
}

t.test('any writes, zeros and trims, as on a plain Buffer', async (t) => {
  const { device, path } = open(t);
  const model = Buffer.alloc(sizeBytes);
  const step = fc.record({
    what: fc.constantFrom('write', 'zero', 'keep', 'trim'),
    offset: fc.integer({ min: 0, max: sizeBytes - 1 }),
    lengthBytes: fc.integer({ min: 1, max: 200_000 }),
    fill: fc.integer({ min: 1, max: 255 }),
    fua: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 10 }), async (steps) => {
      for (const { what, offset, lengthBytes: wanted, fill, fua } of steps) {
        const lengthBytes = Math.min(wanted, sizeBytes - offset);
        if (what === 'write') await device.write(Buffer.alloc(lengthBytes, fill), offset, { fua });
        else if (what === 'trim') await device.trim(offset, lengthBytes, { fua });
        else await device.writeZeroes(offset, lengthBytes, { fua, noHole: what === 'keep' });
        model.fill(what === 'write' ? fill : 0, offset, offset + lengthBytes);
      }
      if (!(await read(device, 0, sizeBytes)).equals(model)) throw new Error('reads something else');
    }),
    { numRuns: 20 },
  );
  await device.flush();
  t.ok(readFileSync(path).equals(model), 'and so does everybody else');
});

t.test('unaligned and concurrent', async (t) => {
  const { device } = open(t);
  await Promise.all(Array.from({ length: 32 }, (_, index) => device.write(Buffer.alloc(777, index + 1), index * 777)));
  for (const index of [0, 13, 31])
    t.ok(
      (await read(device, index * 777, 777)).every((byte) => byte === index + 1),
      `${index}`,
    );
  const now = Buffer.alloc(1000);
  // What was just written is in the page cache; a file system that can't tell says no.
  if (device.readNow(now, 100, 777, 777)) t.ok(now.subarray(100, 877).every((byte) => byte === 2));
});

t.test('extents: data and holes in order, at most as many as asked for', async (t) => {
  const { device } = open(t);
  await device.write(Buffer.alloc(65_536, 1), 131_072);
  const all = await device.extents(0, sizeBytes, 16);
  t.equal(
    all.reduce((sum, extent) => sum + extent.lengthBytes, 0),
    sizeBytes,
  );
  t.same(all, [
    { lengthBytes: 131_072, zero: true, hole: true },
    { lengthBytes: 65_536, zero: false, hole: false },
    { lengthBytes: sizeBytes - 196_608, zero: true, hole: true },
  ]);
  t.same(await device.extents(131_072, sizeBytes - 131_072, 1), [{ lengthBytes: 65_536, zero: false, hole: false }]);
  t.same(device.cachedExtents(0, 1000), [{ lengthBytes: 1000, cached: true }]);
});

t.test('a trim frees space, zeros that keep their place do not', async (t) => {
  const { device, path } = open(t);
  await device.write(Buffer.alloc(sizeBytes, 7), 0);
  await device.flush();
  const full = statSync(path).blocks;
  await device.writeZeroes(0, sizeBytes / 2, { noHole: true });
  // A file system counts what it needs to find the data, too: where that is in more pieces now, a block more.
  t.ok(statSync(path).blocks >= full);
  await device.trim(0, sizeBytes / 2);
  t.ok(statSync(path).blocks < full);
});

t.test('it ends after what is under way; then everything is refused', async (t) => {
  const { device, path } = open(t);
  const written = device.write(Buffer.alloc(500_000, 9), 0);
  await Promise.all([device.close(), device.close()]);
  await written;
  t.ok(
    readFileSync(path)
      .subarray(0, 500_000)
      .every((byte) => byte === 9),
  );
  await t.rejects(read(device, 0, 10), { code: 'ERR_CLOSED' });
  await t.rejects(device.flush(), { code: 'ERR_CLOSED' });
});

t.test('a file that is not there', async (t) => {
  t.throws(() => new FileDevice(join(t.testdir(), 'none')), { code: 'ENOENT' });
});
