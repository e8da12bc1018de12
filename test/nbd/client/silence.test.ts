/** Silent connections and patient servers, told apart by a clock that the test moves. */

import { setImmediate as turn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { PatienceOptions } from '../../../src/nbd/client/contract.js';
import { Command, ReplyType } from '../../../src/nbd/codec/constant.js';
import type { Request } from '../../../src/nbd/codec/frame.js';
import { ManualClock } from '../../cache/manual-clock.js';
import { holds } from '../../support/wait.js';
import { u64 } from '../server/raw-peer.js';
import { Assembly } from './assembly.js';
import { type Scripted, script } from './scripted-server.js';

const DONE = 1;
const { OFFSET_DATA, NONE } = ReplyType;
const sign = { type: Command.READ, offset: 0, lengthBytes: 0 };

/** Tells how often it was read: a client does so with each piece of input. */
class WatchedClock extends ManualClock {
  readCount = 0;

  override nowMs(): number {
    this.readCount += 1;
    return super.nowMs();
  }

  /** Sends, and resolves when the client has taken it. */
  async hears(send: () => void): Promise<void> {
    const { readCount } = this;
    send();
    await holds(() => this.readCount !== readCount);
  }
}

async function stand(t: Test, patience: PatienceOptions = {}, maxInFlight = 64): Promise<Scripted & { clock: WatchedClock }> {
  const clock = new WatchedClock();
  return { ...(await script(t, 'extended', maxInFlight, { clock, ...patience })), clock };
}

/** One byte of it. */
function answer({ peer, chunk }: Scripted, request: Request): void {
  peer.write(chunk(request, DONE, OFFSET_DATA, u64(request.offset), Buffer.from('x')));
}

function giveSign({ peer, chunk }: Scripted, request: Request): void {
  peer.write(chunk(request, DONE, NONE));
}

t.test('after 2 s without a byte a sign of life is asked for; when nothing comes in 1 s the connection ends', async (t) => {
  const scripted = await stand(t);
  const { client, request, clock } = scripted;
  const reads = [client.read(5, 1, new Assembly(5, 1)), client.read(9, 1, new Assembly(9, 1))].map((read) =>
    read.catch((error: Error) => error),
  );
  t.match(await request(), { offset: 5 });
  t.match(await request(), { offset: 9 });
  clock.advance(1999);
  t.equal(client.failure, undefined);
  clock.advance(1);
  t.match(await request(), sign);
  clock.advance(999);
  await turn();
  t.equal(client.failure, undefined);
  clock.advance(1);
  const [first, second] = await Promise.all(reads);
  t.match(first, { code: 'ERR_NBD_SILENT' });
  t.equal(first, second, 'one object for all');
  t.equal(clock.timerCount, 0);
});

t.test('a server that gives signs of life is waited for', async (t) => {
  const scripted = await stand(t);
  const { client, request, clock } = scripted;
  const read = client.read(5, 1, new Assembly(5, 1));
  const asked = await request();
  for (let round = 0; round < 20; round += 1) {
    clock.advance(2000);
    const probe = await request();
    t.match(probe, sign);
    await clock.hears(() => giveSign(scripted, probe));
  }
  answer(scripted, asked);
  await read;
  clock.advance(2000);
  t.equal(clock.timerCount, 0, 'nothing is watched while nothing is in flight');
  clock.advance(100_000);
  t.equal(client.failure, undefined);
});

t.test('any byte is a sign of life', async (t) => {
  const scripted = await stand(t);
  const { client, peer, request, chunk, clock } = scripted;
  const target = new Assembly(0, 100);
  const read = client.read(0, 100, target);
  const asked = await request();
  const reply = chunk(asked, DONE, OFFSET_DATA, u64(0), Buffer.alloc(100, 7));
  for (let at = 0; at < reply.length; at += 10) {
    clock.advance(1999);
    t.equal(client.failure, undefined);
    await clock.hears(() => peer.write(reply.subarray(at, at + 10)));
  }
  await read;
  const next = client.read(5, 1, new Assembly(5, 1));
  const nextAsked = await request();
  t.match(nextAsked, { offset: 5 }, 'nothing was asked in between');
  answer(scripted, nextAsked);
  await next;
});

t.test('a process that did not run looks for input before it blames the server', async (t) => {
  const scripted = await stand(t);
  const { client, request, clock, peer } = scripted;
  const read = client.read(5, 1, new Assembly(5, 1));
  const asked = await request();
  clock.advance(2000);
  giveSign(scripted, await request());
  answer(scripted, asked);
  t.equal(peer.stream.writableLength, 0, 'the kernel has it');
  // Where timers are called: before the event loop looks for input.
  await new Promise<void>((resolve) => {
    setTimeout(() => {
      clock.advance(60_000);
      resolve();
    });
  });
  await read;
  t.equal(client.failure, undefined);
});

t.test('a sign of life has a place of its own', async (t) => {
  const scripted = await stand(t, {}, 3);
  const { client, request, clock } = scripted;
  const reads = [1, 2, 3].map((offset) => client.read(offset, 1, new Assembly(offset, 1)));
  const asked = [await request(), await request()];
  clock.advance(2000);
  const probe = await request();
  t.match(probe, sign, 'the third read waits, so that the server has room for it');
  giveSign(scripted, probe);
  for (const each of asked) answer(scripted, each);
  answer(scripted, await request());
  await Promise.all(reads);
});

t.test('a read that is not answered in its time is given up, others are not', async (t) => {
  const scripted = await stand(t, { maxWaitMs: 5000 });
  const { client, request, clock } = scripted;
  const never = client.read(5, 1, new Assembly(5, 1)).catch((error: Error) => error);
  const asked = await request();
  clock.advance(1500);
  for (let round = 0; round < 2; round += 1) {
    const read = client.read(9, 1, new Assembly(9, 1));
    answer(scripted, await request());
    await read;
    clock.advance(1500);
  }
  const late = client.read(11, 1, new Assembly(11, 1));
  const lateAsked = await request();
  clock.advance(600);
  t.match(await never, { code: 'ERR_NBD_UNANSWERED' });
  t.equal(client.failure, undefined, 'the server answers others');
  answer(scripted, asked);
  answer(scripted, lateAsked);
  await late;
});

t.test('a server that gives signs of life and answers nothing is left', async (t) => {
  const scripted = await stand(t, { maxWaitMs: 5000 });
  const { client, request, clock } = scripted;
  const reads = [5, 9].map((offset) => client.read(offset, 1, new Assembly(offset, 1)).catch((error: Error) => error));
  await request();
  await request();
  for (let round = 0; round < 2; round += 1) {
    clock.advance(2000);
    const probe = await request();
    t.match(probe, sign);
    await clock.hears(() => giveSign(scripted, probe));
  }
  clock.advance(1000);
  for (const failed of await Promise.all(reads)) t.match(failed, { code: 'ERR_NBD_UNANSWERED' });
  t.match(client.failure, { code: 'ERR_NBD_UNANSWERED' });
  t.equal(clock.timerCount, 0);
});
