/** Who owns a reply's buffer and until when, how replies are put together into writes, and that nothing is sent uncounted. */
import { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import { MiB } from '../../src/base/size.js';
import type { AnswerLease } from '../../src/device/device.js';
import { batchBytes, ReplyStream } from '../../src/server/reply-stream.js';
import { RequestMemory } from '../../src/server/request-memory.js';

/** A stream that takes a write only when the test says so. */
class SlowStream extends Duplex {
  readonly writes: Buffer[] = [];
  #taken: (() => void) | undefined;

  constructor() {
    super({ highWaterMark: 1 });
    this.on('error', () => {});
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.writes.push(chunk);
    this.#taken = callback;
  }

  override _writev(chunks: { chunk: Buffer }[], callback: () => void): void {
    this.writes.push(Buffer.concat(chunks.map(({ chunk }) => chunk)));
    this.#taken = callback;
  }

  /** The write under way is over. */
  async takeOne(): Promise<void> {
    const taken = this.#taken;
    this.#taken = undefined;
    taken?.();
    await nextTurn();
  }
}

function setUp(limitBytes = 512 * MiB) {
  const stream = new SlowStream();
  const memory = new RequestMemory(limitBytes);
  let sentCount = 0;
  const replies = new ReplyStream(stream, memory, () => {
    sentCount += 1;
  });
  return { stream, memory, replies, sentCount: () => sentCount };
}

function taken(replies: ReplyStream, lengthBytes: number): Buffer {
  const buffer = replies.take(lengthBytes);
  if (buffer === undefined) throw new Error('no memory');
  return buffer;
}

t.test('a batch is one write, and its buffer is free only when the stream took it', async (t) => {
  const { stream, memory, replies, sentCount } = setUp();
  for (const text of ['one ', 'two ', 'three']) {
    const batch = replies.room(100);
    if (batch === undefined) throw new Error('no memory');
    replies.commit(replies.batchAt + batch.write(text, replies.batchAt));
  }
  replies.flush();
  t.same(stream.writes.map(String), ['one two three']);
  t.ok(memory.takenBytes >= batchBytes, 'not taken yet');
  const other = replies.room(100);
  if (other === undefined) throw new Error('no memory');
  other.fill('x');
  t.equal(String(stream.writes[0]), 'one two three', 'the next batch is another buffer');
  replies.flush();
  await stream.takeOne();
  t.equal(sentCount(), 1);
  t.equal(replies.heldBytes, 0);
  t.equal(memory.takenBytes, 0);
});

t.test('a batch that is full leaves before the next reply begins', async (t) => {
  const { stream, replies } = setUp();
  const first = replies.room(200 * 1024);
  replies.commit(200 * 1024);
  const second = replies.room(100 * 1024);
  t.not(second, first);
  t.equal(replies.batchAt, 0);
  t.equal(stream.writes.length, 1);
});

t.test('what comes later in one turn leaves as one write, in order', async (t) => {
  const { stream, memory, replies } = setUp();
  for (const text of ['a', 'b', 'c']) {
    const owner = taken(replies, 4096);
    owner.write(text);
    replies.send([Buffer.from('['), owner.subarray(0, 1), Buffer.from(']')], owner);
  }
  t.equal(stream.writes.length, 0, 'corked until the end of the turn');
  await nextTurn();
  t.same(stream.writes.map(String), ['[a][b][c]']);
  t.ok(memory.takenBytes > 3 * 4096);
  await stream.takeOne();
  t.equal(memory.takenBytes, 0);
  t.equal(replies.heldBytes, 0);
});

t.test('buffers come back when the connection dies, whatever was sent of them', async (t) => {
  const { stream, memory, replies } = setUp();
  const [first, second, third] = [taken(replies, 10), taken(replies, 10), taken(replies, 10)];
  replies.send([first.subarray(0, 10)], first);
  await nextTurn();
  replies.send([second.subarray(0, 10)], second);
  stream.destroy();
  await nextTurn();
  replies.send([third.subarray(0, 10)], third);
  await stream.takeOne();
  await nextTurn();
  t.equal(memory.takenBytes, 0);
  t.equal(replies.heldBytes, 0);
});

t.test('replies without a buffer of their own count too until they are sent', async (t) => {
  const { stream, replies, sentCount } = setUp();
  replies.send([Buffer.alloc(100)], undefined);
  t.equal(replies.heldBytes, 100);
  await nextTurn();
  await stream.takeOne();
  t.equal(replies.heldBytes, 0);
  t.ok(sentCount() >= 1);
});

t.test('a connection that holds nothing but an empty batch counts as holding nothing', async (t) => {
  const { memory, replies } = setUp(1024);
  const others = memory.tryTake(4096, true);
  t.ok(replies.room(1000), 'granted beyond the bound');
  t.ok(replies.take(2 * MiB), 'and so is what the request needs in place of the batch');
  t.ok(others);
});

/** A lease that the test passes, opens and loses. */
class ScriptedLease implements AnswerLease {
  #isOpen = true;
  #settle: (mayAnswer: boolean) => void = () => {};
  #settled = Promise.resolve(true);

  isValid(): boolean {
    return this.#isOpen;
  }

  settled(): Promise<boolean> {
    return this.#settled;
  }

  pass(): void {
    this.#isOpen = false;
    this.#settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  settle(mayAnswer: boolean): void {
    this.#isOpen = mayAnswer;
    this.#settle(mayAnswer);
  }
}

function underLease() {
  const stream = new SlowStream();
  const memory = new RequestMemory(512 * MiB);
  const device: { lease: ScriptedLease | undefined } = { lease: new ScriptedLease() };
  const replies = new ReplyStream(stream, memory, () => {}, device);
  return { stream, memory, replies, device, lease: device.lease as ScriptedLease };
}

function batchOf(replies: ReplyStream, text: string): void {
  const batch = replies.room(100);
  if (batch === undefined) throw new Error('no memory');
  replies.commit(replies.batchAt + batch.write(text, replies.batchAt));
}

t.test('nothing leaves while the lease that it was answered under has passed', async (t) => {
  for (const way of ['batch', 'send'] as const) {
    const { stream, memory, replies, device, lease } = underLease();
    if (way === 'batch') batchOf(replies, 'one');
    else replies.send([Buffer.from('one')], undefined);
    // All is done, and the process sleeps.
    lease.pass();
    // The disk may have gone elsewhere by then.
    device.lease = undefined;
    replies.flush();
    await nextTurn();
    t.same(stream.writes, [], way);
    replies.send([Buffer.from(' two')], undefined);
    await nextTurn();
    t.same(stream.writes, []);
    lease.settle(true);
    await nextTurn();
    t.same(stream.writes.map(String), ['one two']);
    await stream.takeOne();
    t.equal(memory.takenBytes, 0);
    t.equal(replies.heldBytes, 0);
  }
});

t.test('what waits for a lease that is lost never leaves: the connection ends', async (t) => {
  const { stream, memory, replies, lease } = underLease();
  batchOf(replies, 'one');
  lease.pass();
  replies.flush();
  lease.settle(false);
  await nextTurn();
  t.ok(stream.destroyed);
  t.same(stream.writes, []);
  t.equal(memory.takenBytes, 0);
});

t.test('under a lease nothing is given to a stream that has not sent what is before it', async (t) => {
  const { stream, replies, lease } = underLease();
  batchOf(replies, 'one');
  replies.flush();
  t.same(stream.writes.map(String), ['one']);
  batchOf(replies, 'two');
  replies.flush();
  lease.pass();
  await stream.takeOne();
  t.same(stream.writes.map(String), ['one'], 'it could not be held back any more');
  lease.settle(true);
  await nextTurn();
  t.same(stream.writes.map(String), ['one', 'two']);
});
