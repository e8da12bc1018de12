import t from 'tap';
import { Budget } from '../../../src/base/budget.js';
import { PeerMapDevice } from '../../../src/peer/server/map-device.js';

function stand(states: Buffer, budget = new Budget(1000)) {
  const copies: ((error?: Error) => void)[] = [];
  const device = new PeerMapDevice({
    blockCount: states.length,
    budget,
    copy: (target) =>
      new Promise((resolve, reject) => {
        copies.push((error) => {
          states.copy(target);
          if (error === undefined) resolve();
          else reject(error);
        });
      }),
  });
  return { device, copies, budget };
}

t.test('it is copied with the first read, once, and then known', async (t) => {
  const states = Buffer.from([1, 2, 0, 0, 0, 5]);
  const { device, copies, budget } = stand(states);
  t.equal(device.sizeBytes, 6);
  t.notOk(device.readNow(Buffer.alloc(6), 0, 6, 0));
  t.notOk(device.isZeroNow(2, 3), 'not known yet');
  t.equal(budget.taken, 0);
  const [left, right] = [Buffer.alloc(3), Buffer.alloc(3)];
  const reads = [device.read(left, 0), device.read(right, 3)];
  t.equal(budget.taken, 6);
  t.equal(copies.length, 1);
  copies[0]?.();
  t.same(await Promise.all(reads), ['cache', 'cache']);
  t.ok(Buffer.concat([left, right]).equals(states));
  states.fill(9);
  const now = Buffer.alloc(8);
  t.ok(device.readNow(now, 1, 6, 0));
  t.same(now, Buffer.from([0, 1, 2, 0, 0, 0, 5, 0]), 'as it was');
  t.ok(device.isZeroNow(2, 3));
  t.notOk(device.isZeroNow(2, 4));
  device.release();
  device.release();
  t.equal(budget.taken, 0);
});

t.test('no room for a copy is ENOMEM, until there is', async (t) => {
  const budget = new Budget(10);
  const first = stand(Buffer.alloc(8, 1), budget);
  const second = stand(Buffer.alloc(8, 1), budget);
  const reading = first.device.read(Buffer.alloc(1), 0);
  await t.rejects(second.device.read(Buffer.alloc(1), 0), { code: 'ENOMEM' });
  first.copies[0]?.();
  await reading;
  first.device.release();
  const again = second.device.read(Buffer.alloc(1), 0);
  second.copies[0]?.();
  await again;
  second.device.release();
  t.equal(budget.taken, 0);
});

t.test('a copy that fails stays failed; one that ends late gives its room back', async (t) => {
  const failing = stand(Buffer.alloc(8));
  const failed = failing.device.read(Buffer.alloc(1), 0);
  failing.copies[0]?.(Object.assign(new Error('no'), { code: 'EIO' }));
  await t.rejects(failed, { code: 'EIO' });
  await t.rejects(failing.device.read(Buffer.alloc(1), 0), { code: 'EIO' });
  t.equal(failing.copies.length, 1, 'marks may have been taken: it is not tried again');
  failing.device.release();
  t.equal(failing.budget.taken, 0);
  const late = stand(Buffer.alloc(8));
  const reading = late.device.read(Buffer.alloc(1), 0);
  late.device.release();
  late.copies[0]?.();
  await reading;
  t.equal(late.budget.taken, 0);
});
