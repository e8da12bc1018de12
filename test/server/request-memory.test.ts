/** The bound on memory, who is let beyond it, and that buffers are used again. */
import fc from 'fast-check';
import t from 'tap';
import { KiB, MiB } from '../../src/base/size.js';
import { headerRoomBytes, RequestMemory } from '../../src/server/request-memory.js';

function take(memory: RequestMemory, lengthBytes: number, always = false): Buffer {
  const buffer = memory.tryTake(lengthBytes, always);
  if (buffer === undefined) throw new Error(`no ${lengthBytes} bytes with ${memory.takenBytes} taken`);
  return buffer;
}

t.test('a buffer has room for a header and a payload of a power of two', async (t) => {
  const memory = new RequestMemory(512 * MiB);
  for (const [lengthBytes, payloadBytes] of [
    [1, 4 * KiB],
    [4 * KiB, 4 * KiB],
    [4 * KiB + headerRoomBytes, 4 * KiB],
    [4 * KiB + headerRoomBytes + 1, 8 * KiB],
    [32 * MiB + headerRoomBytes, 32 * MiB],
  ] as const)
    t.equal(take(memory, lengthBytes).length, payloadBytes + headerRoomBytes, `${lengthBytes} bytes`);
});

t.test('nothing is granted beyond the bound, except to who must be served', async (t) => {
  const memory = new RequestMemory(64 * KiB);
  const first = take(memory, 32 * KiB);
  t.equal(memory.tryTake(32 * KiB, false), undefined, 'two headers too many');
  const second = take(memory, 16 * KiB);
  const extra = take(memory, 32 * MiB, true);
  t.equal(memory.tryTake(1, false), undefined);
  for (const buffer of [first, second, extra]) memory.give(buffer);
  t.equal(memory.takenBytes, 0);
  t.ok(memory.tryTake(32 * KiB, false));
});

t.test('a buffer that was given back is used again, by one at a time', async (t) => {
  const memory = new RequestMemory(512 * MiB);
  const [left, right] = [take(memory, 5000), take(memory, 6000)];
  memory.give(left);
  memory.give(right);
  const again = new Set([take(memory, 8000), take(memory, 4500), take(memory, 7000)]);
  t.equal(again.size, 3);
  t.ok(again.has(left) && again.has(right));
});

t.test('what is kept is of the size that is in use now', async (t) => {
  const memory = new RequestMemory(8 * MiB);
  // An eighth may be kept: 1 MiB.
  const small = Array.from({ length: 256 }, () => take(memory, 4 * KiB));
  for (const buffer of small) memory.give(buffer);
  const large = [take(memory, 256 * KiB), take(memory, 256 * KiB)];
  for (const buffer of large) memory.give(buffer);
  const again = [take(memory, 256 * KiB), take(memory, 256 * KiB)];
  t.ok(
    again.every((buffer) => large.includes(buffer)),
    'both are used again though small ones filled the store',
  );
});

t.test('buffers beyond 2 MiB are not kept', async (t) => {
  const memory = new RequestMemory(512 * MiB);
  const buffer = take(memory, 4 * MiB);
  memory.give(buffer);
  t.not(take(memory, 4 * MiB), buffer);
});

t.test('any sequence: counts agree, and nobody shares a buffer', async () => {
  const step = fc.record({ give: fc.boolean(), which: fc.nat(), lengthBytes: fc.integer({ min: 1, max: 600_000 }), always: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const limitBytes = 2 * MiB;
      const memory = new RequestMemory(limitBytes);
      const held: Buffer[] = [];
      for (const { give, which, lengthBytes, always } of steps) {
        if (give) {
          const [buffer] = held.splice(which % Math.max(1, held.length), 1);
          if (buffer !== undefined) memory.give(buffer);
        } else {
          const before = memory.takenBytes;
          const buffer = memory.tryTake(lengthBytes, always);
          if (buffer === undefined) {
            if (always) throw new Error('always is always');
            if (memory.takenBytes !== before) throw new Error('counted what was not granted');
            continue;
          }
          if (held.includes(buffer)) throw new Error('granted twice');
          if (buffer.length < lengthBytes) throw new Error('too small');
          if (!always && memory.takenBytes > limitBytes) throw new Error('beyond the bound');
          held.push(buffer);
        }
        if (memory.takenBytes !== held.reduce((sum, buffer) => sum + buffer.length, 0)) throw new Error('miscounted');
      }
    }),
  );
});
