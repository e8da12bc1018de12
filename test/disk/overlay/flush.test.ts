/** When a disk is flushed: many together, and by itself when nobody asks. */
import t, { type Test } from 'tap';
import { CopseError } from '../../../src/base/error.js';
import { silentLogger } from '../../../src/base/log.js';
import { DiskFlusher } from '../../../src/disk/overlay/flusher.js';
import { ManualClock } from '../../cache/manual-clock.js';
import { closeAfter, gate, openDisk, openOverlay, overlayFiles, readDisk } from './parts.js';

function flusher() {
  const clock = new ManualClock();
  const gates: ReturnType<typeof gate>[] = [];
  const errors: unknown[] = [];
  const log = silentLogger.child({});
  log.error = (...args: unknown[]) => errors.push(args);
  const state = { dirty: true };
  let running = 0;
  const made = new DiskFlusher({
    flush: async () => {
      running += 1;
      if (running > 1) throw new Error('two at once');
      const held = gate();
      gates.push(held);
      await held.opened.finally(() => {
        running -= 1;
      });
    },
    isDirty: () => state.dirty,
    selfFlushMs: 1000,
    clock,
    log,
  });
  return { flusher: made, clock, gates, errors, state };
}

async function turns(): Promise<void> {
  for (let count = 0; count < 3; count += 1) await new Promise((resolve) => setImmediate(resolve));
}

t.test('who asks while one runs shares the next', async (t) => {
  const { flusher: made, gates } = flusher();
  const order: string[] = [];
  const note = (name: string, flush: Promise<void>): Promise<void> => flush.then(() => void order.push(name));
  const all = [note('first', made.flush()), note('second', made.flush()), note('third', made.flush())];
  await turns();
  t.equal(gates.length, 1);
  gates[0]?.open();
  await turns();
  t.same(order, ['first']);
  t.equal(gates.length, 2);
  all.push(note('fourth', made.flush()));
  gates[1]?.open();
  await turns();
  t.same(order, ['first', 'second', 'third']);
  t.equal(gates.length, 3);
  gates[2]?.open();
  await Promise.all(all);
});

t.test('a failure is of those who asked, and the next begins all the same', async (t) => {
  const { flusher: made, gates } = flusher();
  const first = made.flush();
  const second = made.flush();
  gates[0]?.fail(new CopseError('ENOSPC', 'full'));
  await t.rejects(first, { code: 'ENOSPC' });
  await turns();
  gates[1]?.open();
  await second;
});

t.test('many at all moments never run two at once', async () => {
  const { flusher: made, gates } = flusher();
  const all: Promise<void>[] = [];
  for (let count = 0; count < 200; count += 1) {
    all.push(made.flush());
    for (let turn = 0; turn < count % 7; turn += 1) await Promise.resolve();
    if (count % 3 === 0) gates.at(-1)?.open();
  }
  const opening = setInterval(() => gates.at(-1)?.open());
  await Promise.all(all);
  clearInterval(opening);
});

t.test('by itself when nobody has for a while', async (t) => {
  const { flusher: made, clock, gates, state } = flusher();
  made.touch();
  clock.advance(600);
  made.touch();
  clock.advance(399);
  t.equal(gates.length, 0);
  clock.advance(1);
  t.equal(gates.length, 1);
  state.dirty = false;
  gates[0]?.open();
  await turns();
  t.equal(clock.timerCount, 0);

  state.dirty = true;
  made.touch();
  clock.advance(500);
  const asked = made.flush();
  t.equal(clock.timerCount, 0, 'somebody does');
  gates[1]?.open();
  await asked;
  t.equal(clock.timerCount, 1, 'something was written meanwhile');
  state.dirty = false;
  clock.advance(1000);
  t.equal(gates.length, 2, 'or it was not');
});

t.test('a failure of its own is told once, and tried again', async (t) => {
  const { flusher: made, clock, gates, errors, state } = flusher();
  made.touch();
  for (const count of [1, 2, 3]) {
    clock.advance(1000);
    t.equal(gates.length, count);
    gates[count - 1]?.fail(new CopseError('EIO', 'broken'));
    await turns();
    t.equal(errors.length, 1);
  }
  clock.advance(1000);
  gates[3]?.open();
  await turns();
  clock.advance(1000);
  gates[4]?.fail(new CopseError('EIO', 'broken'));
  await turns();
  t.equal(errors.length, 2, 'it had worked in between');
  state.dirty = false;
  const closed = made.close();
  gates[5]?.open();
  await closed;
  t.equal(clock.timerCount, 0);
});

async function open(t: Test) {
  const overlay = openOverlay(overlayFiles(t.testdir(), 1024 * 1024));
  const { disk, clock } = openDisk(overlay);
  closeAfter(t, disk);
  return { disk, clock, overlay };
}

t.test('a disk that nobody flushes does it by itself', async (t) => {
  const { disk, clock, overlay } = await open(t);
  await disk.write(Buffer.alloc(8192, 1), 0);
  t.ok(overlay.dirty);
  clock.advance(29_999);
  t.ok(overlay.dirty);
  clock.advance(1);
  await disk.flush();
  t.notOk(overlay.dirty);
  t.equal(clock.timerCount, 0);
  await disk.trim(0, 8192);
  t.equal(clock.timerCount, 1);
  t.notOk(overlay.allocatedBytes() === 0);
  await disk.flush();
  t.equal(overlay.allocatedBytes(), 0);
});

t.test('FUA is durable when it is acknowledged', async (t) => {
  const { disk, overlay } = await open(t);
  await disk.write(Buffer.alloc(100, 1), 10, { fua: true });
  t.notOk(overlay.dirty);
  await disk.writeZeroes(0, 4096, { fua: true });
  t.notOk(overlay.dirty);
  await disk.write(Buffer.alloc(4096, 1), 0);
  await disk.trim(0, 4096, { fua: true });
  t.notOk(overlay.dirty);
  await Promise.all(Array.from({ length: 50 }, (_, index) => disk.write(Buffer.alloc(100, index), index * 100, { fua: true })));
  t.notOk(overlay.dirty);
  t.equal((await readDisk(disk, 4950, 1))[0], 49);
});
