/** One task at a time, in order, failures included. */
import t from 'tap';
import { Serial } from '../../src/base/serial.js';

t.test('tasks run in order, each after the end of the one before', async (t) => {
  const serial = new Serial();
  const order: string[] = [];
  let letGo = (): void => {};
  const first = serial.run(async () => {
    order.push('first begins');
    await new Promise<void>((resolve) => {
      letGo = resolve;
    });
    order.push('first ends');
    throw new Error('no');
  });
  const second = serial.run(() => order.push('second'));
  await new Promise(setImmediate);
  t.same(order, ['first begins'], 'the second waits');
  letGo();
  await t.rejects(first, { message: 'no' });
  t.equal(await second, 3);
  t.same(order, ['first begins', 'first ends', 'second']);
});
