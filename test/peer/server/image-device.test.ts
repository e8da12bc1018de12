import t from 'tap';
import { CopseError } from '../../../src/base/error.js';
import type { Place } from '../../../src/block/place.js';
import { type PeerCache, PeerImageDevice, type PeerReadOptions } from '../../../src/peer/server/image-device.js';

const sizeBytes = 64 * 2 ** 20;

function stand(role: 'home' | 'held', overrides: Partial<PeerCache> = {}) {
  const asked: { offset: number; lengthBytes: number; options: PeerReadOptions }[] = [];
  const served: [number, number][] = [];
  const cache: PeerCache = {
    store: { sizeBytes, readNow: (_target, _start, _length, offset) => offset === 0, isZero: (offset) => offset === 4096 },
    read: async (target, offset, options): Promise<Place> => {
      asked.push({ offset, lengthBytes: target.length, options });
      return 'origin';
    },
    ensure: async (offset, lengthBytes, options) => void asked.push({ offset, lengthBytes, options }),
    extents: (_offset, lengthBytes) => [{ lengthBytes, zero: false, hole: false }],
    cachedExtents: (_offset, lengthBytes) => [{ lengthBytes, cached: true }],
    ...overrides,
  };
  const device = new PeerImageDevice({
    cache,
    role,
    background: true,
    onServed: (offset, lengthBytes) => served.push([offset, lengthBytes]),
  });
  return { device, asked, served };
}

t.test('what was served is told, hits and misses alike, and failures are not', async (t) => {
  const { device, served, asked } = stand('home');
  const { signal } = new AbortController();
  t.ok(device.readNow(Buffer.alloc(9), 0, 9, 0));
  t.notOk(device.readNow(Buffer.alloc(9), 0, 9, 100));
  t.equal(await device.read(Buffer.alloc(7), 100, { signal, deadlineMs: 5 }), 'origin');
  t.same(served, [
    [0, 9],
    [100, 7],
  ]);
  t.same(asked, [{ offset: 100, lengthBytes: 7, options: { signal, deadlineMs: 5, role: 'home', background: true } }]);
  t.ok(device.isZeroNow(4096, 1));
  const failing = stand('home', { read: () => Promise.reject(new CopseError('ERR_ORIGIN_UNAVAILABLE', 'away')) });
  await t.rejects(failing.device.read(Buffer.alloc(7), 100), { code: 'ERR_ORIGIN_UNAVAILABLE' });
  t.same(failing.served, []);
});

t.test('what is not held is ENOTSUP on the wire', async (t) => {
  const { device } = stand('held', { read: () => Promise.reject(new CopseError('ERR_NOT_HELD', 'not here')) });
  await t.rejects(device.read(Buffer.alloc(7), 100), { code: 'ENOTSUP' });
});

t.test('as home a range is brought here in steps, as held never', async (t) => {
  const home = stand('home');
  await home.device.cache(1, 9 * 2 ** 20);
  t.same(
    home.asked.map(({ offset, lengthBytes, options }) => [offset, lengthBytes, options.role]),
    [
      [1, 4 * 2 ** 20 - 1, 'home'],
      [4 * 2 ** 20, 4 * 2 ** 20, 'home'],
      [8 * 2 ** 20, 2 ** 20 + 1, 'home'],
    ],
  );
  const held = stand('held');
  await held.device.cache(1, 100);
  const part = stand('held', { cachedExtents: () => [{ lengthBytes: 50, cached: true }] });
  await t.rejects(part.device.cache(1, 100), { code: 'ENOTSUP' });
  const none = stand('held', { cachedExtents: (_offset, lengthBytes) => [{ lengthBytes, cached: false }] });
  await t.rejects(none.device.cache(1, 100), { code: 'ENOTSUP' });
  for (const { asked } of [held, part, none]) t.same(asked, []);
});

t.test('nobody writes to it', async (t) => {
  const { device } = stand('home');
  t.ok(device.features.readOnly);
  for (const write of [device.write(), device.writeZeroes(), device.trim()]) await t.rejects(write, { code: 'EROFS' });
  await device.flush();
  await device.close();
  t.same(await device.extents(0, 5, 1), [{ lengthBytes: 5, zero: false, hole: false }]);
  t.same(device.cachedExtents(0, 5, 1), [{ lengthBytes: 5, cached: true }]);
});
