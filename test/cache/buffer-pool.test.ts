import t from 'tap';
import { BufferPool } from '../../src/cache/buffer-pool.js';

t.test('a buffer that was given back is used again', async (t) => {
  const pool = new BufferPool(4096, 2);
  const first = pool.take();
  t.equal(first.length, 4096);
  t.not(pool.take(), first, 'one that is in use is not given twice');
  pool.give(first);
  t.equal(pool.take(), first);
});

t.test('no more are kept than the limit', async (t) => {
  const pool = new BufferPool(16, 2);
  const buffers = [pool.take(), pool.take(), pool.take()];
  for (const buffer of buffers) pool.give(buffer);
  const again = [pool.take(), pool.take(), pool.take()];
  t.equal(again.filter((buffer) => buffers.includes(buffer)).length, 2);
});
