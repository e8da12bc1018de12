import t from 'tap';
import { ClosedError } from '../../../src/base/error.js';
import { BlockState, blockBytes } from '../../../src/base/native/overlay.js';
import { PeerBlocksDevice } from '../../../src/peer/server/blocks-device.js';
import { MemoryOverlay } from '../disk-server.js';

const { base, data, zero, remote } = BlockState;

function stand(...states: number[]) {
  const overlay = new MemoryOverlay(Buffer.alloc(states.length * blockBytes, 9));
  overlay.states.set(states);
  return { overlay, device: new PeerBlocksDevice(overlay) };
}

t.test('blocks of data and zeros are read, now or later, anything else is EIO', async (t) => {
  const { overlay, device } = stand(data, zero, base, data, remote | (5 << 3), data | 4);
  const whole = (blocks: number) => Buffer.alloc(blocks * blockBytes);
  t.equal(await device.read(whole(2), 0), 'cache');
  for (const [block, count] of [
    [0, 3],
    [2, 1],
    [3, 2],
    [4, 2],
  ] as const) {
    await t.rejects(device.read(whole(count), block * blockBytes), { code: 'EIO' });
  }
  t.equal(await device.read(whole(1), 5 * blockBytes), 'cache', 'changed');
  t.notOk(device.readNow(whole(1), 0, blockBytes, 0), 'not in the page cache');
  overlay.isCached = true;
  t.ok(device.readNow(whole(1), 0, blockBytes, 0));
  t.notOk(device.readNow(whole(1), 0, blockBytes, 2 * blockBytes));
  t.ok(device.isZeroNow(blockBytes, blockBytes));
  t.notOk(device.isZeroNow(0, blockBytes));
  t.notOk(device.isZeroNow(2 * blockBytes, blockBytes), 'base is not zeros');
});

t.test('an overlay that is closed answers nobody who would take an error for an answer', async (t) => {
  const { overlay, device } = stand(data);
  overlay.read = () => Promise.reject(new ClosedError('overlay'));
  await t.rejects(device.read(Buffer.alloc(1), 0), { code: 'ERR_CLOSED' }, 'nobody to wait for');
  const gone = new AbortController();
  let settled = false;
  const reading = device.read(Buffer.alloc(1), 0, { signal: gone.signal }).finally(() => {
    settled = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  t.notOk(settled);
  gone.abort();
  await t.rejects(reading, { code: 'ERR_CLOSED' });
});

t.test('extents tell data, zeros, and what is not here', async (t) => {
  const { device } = stand(data, data, zero, base, remote | 8, remote | 16, data);
  const bytes = 7 * blockBytes;
  t.same(await device.extents(0, bytes, 100), [
    { lengthBytes: 2 * blockBytes, zero: false, hole: false },
    { lengthBytes: blockBytes, zero: true, hole: true },
    { lengthBytes: 3 * blockBytes, zero: false, hole: true },
    { lengthBytes: blockBytes, zero: false, hole: false },
  ]);
  t.same(await device.extents(0, bytes, 1), [{ lengthBytes: 2 * blockBytes, zero: false, hole: false }]);
  t.same(await device.extents(100, 50, 9), [{ lengthBytes: 50, zero: false, hole: false }]);
  t.same(device.cachedExtents(0, bytes, 100), [
    { lengthBytes: 3 * blockBytes, cached: true },
    { lengthBytes: 3 * blockBytes, cached: false },
    { lengthBytes: blockBytes, cached: true },
  ]);
  t.same(device.cachedExtents(0, bytes, 1), [{ lengthBytes: 3 * blockBytes, cached: true }]);
  await device.cache(0, 3 * blockBytes);
  await t.rejects(device.cache(0, 4 * blockBytes), { code: 'ENOTSUP' });
  await t.rejects(device.write(), { code: 'EROFS' });
  await device.close();
});

t.test('many small runs end early, none twice', async (t) => {
  const { device } = stand(...Array.from({ length: 200 }, (_, index) => (index % 2 === 0 ? base : remote | ((1 + (index % 31)) << 3))));
  const [first, ...others] = await device.extents(0, 200 * blockBytes, 2);
  t.same(others, []);
  t.match(first, { zero: false, hole: true });
  t.ok((first?.lengthBytes ?? 0) >= 10 * blockBytes);
});
