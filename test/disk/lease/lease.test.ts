/** Leases of disks under a clock that the test moves: when they end, who is asked, and when they are open again. */
import t, { type Test } from 'tap';
import { silentLogger } from '../../../src/base/log.js';
import type { LeaseMembers, OwnerClaim } from '../../../src/disk/knowledge/owner-round.js';
import type { LeaseWord } from '../../../src/disk/lease/lease.js';
import { answerMs, LeaseKeeper, leaseMs, moveMs } from '../../../src/disk/lease/lease-keeper.js';
import type { NodeRef } from '../../../src/disk/protocol/record.js';
import { ManualClock } from '../../cache/manual-clock.js';

const uuid = '11111111-1111-4111-8111-111111111111';

/** A word in a time that goes on while the process sleeps. */
class Word implements LeaseWord {
  #untilMs: number | 'free' | 'lost' = 0;
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  isValid(): boolean {
    return this.#untilMs === 'free' || (this.#untilMs !== 'lost' && this.#nowMs() < this.#untilMs);
  }

  extend(ms: number): boolean {
    const isValid = this.isValid();
    if (isValid) this.open(ms);
    return isValid;
  }

  open(ms: number): void {
    if (typeof this.#untilMs === 'number') this.#untilMs = this.#nowMs() + ms;
  }

  close(): void {
    if (typeof this.#untilMs === 'number') this.#untilMs = 0;
  }

  free(): void {
    this.#untilMs = 'free';
  }

  lose(): void {
    this.#untilMs = 'lost';
  }
}

interface Question {
  node: string;
  answer(claims: OwnerClaim[]): void;
  fail(): void;
}

function scene(t: Test, { up = ['b', 'c'], index = false }: { up?: string[]; index?: boolean } = {}) {
  const clock = new ManualClock();
  let sleptMs = 0;
  const questions: Question[] = [];
  const returns = new Set<(id: string, isFirst: boolean) => void>();
  const question = (node: string): Promise<OwnerClaim[]> =>
    new Promise((resolve, reject) => {
      questions.push({ node, answer: resolve, fail: () => reject(new Error('no answer')) });
    });
  const state = { up, hasOthers: true, silentMs: 0, lookCount: 0, epoch: 7, deposed: [] as [number, NodeRef][] };
  const members: LeaseMembers = {
    get hasOthers() {
      return state.hasOthers;
    },
    up: () => state.up.map((id) => ({ id, address: `${id}:1` })),
    look: async () => {
      state.lookCount += 1;
    },
    onReturn: (listener) => {
      returns.add(listener);
      return () => returns.delete(listener);
    },
    silentMs: () => state.silentMs,
    ask: ({ id }) => question(id),
    askIndex: index ? () => question('etcd') : undefined,
  };
  const keeper = new LeaseKeeper<Word>({
    createWord: () => new Word(() => clock.nowMs() + sleptMs),
    members,
    owned: () => [
      {
        uuid,
        epoch: state.epoch,
        claimed: (epoch, owner) => {
          state.deposed.push([epoch, owner]);
          lease.lose();
        },
      },
    ],
    clock,
    log: silentLogger,
  });
  const lease = keeper.open(state.epoch);
  t.teardown(() => keeper.close());
  return {
    ...{ clock, keeper, lease, members: state, questions },
    /** The process does not run for a while: no timer of it, either. */
    sleep: (ms: number) => {
      sleptMs += ms;
    },
    returned: (id: string, isFirst = false) => {
      for (const listener of returns) listener(id, isFirst);
    },
    /** Questions that were asked, taken. */
    asked: async () => {
      await turns();
      return questions.splice(0);
    },
  };
}

/** What follows from what has happened, without the time's going on. */
async function turns(): Promise<void> {
  for (let i = 0; i < 10; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

t.test('holds for as long as the process runs', async (t) => {
  const { clock, lease, questions } = scene(t);
  for (let ms = 0; ms < 20 * leaseMs; ms += moveMs) {
    clock.advance(moveMs);
    t.ok(lease.isValid());
  }
  t.same(questions, []);
});

t.test('has passed when the process slept, before any timer of it, and opens when all have told', async (t) => {
  const { clock, lease, sleep, asked } = scene(t);
  sleep(leaseMs);
  t.notOk(lease.isValid());
  const settled = lease.settled();
  const [b, c] = await asked();
  t.same([b?.node, c?.node], ['b', 'c']);
  b?.answer([]);
  clock.advance(2 * moveMs);
  await turns();
  t.notOk(lease.isValid(), 'one that answers may not have heard of it');
  c?.answer([{ uuid, epoch: 7, owner: { id: 'b', address: 'b:1' } }]);
  t.equal(await settled, true);
  t.ok(lease.isValid());
});

t.test('a timer that fires first does not move on what has passed', async (t) => {
  const { clock, lease, sleep, asked } = scene(t);
  sleep(leaseMs);
  clock.advance(moveMs);
  t.notOk(lease.isValid());
  for (const { answer } of await asked()) answer([]);
  await turns();
  t.ok(lease.isValid());
});

t.test('a later epoch deposes, whoever tells it', async (t) => {
  const { lease, sleep, asked, members } = scene(t);
  sleep(leaseMs);
  const settled = lease.settled();
  const [b, c] = await asked();
  const owner = { id: 'd', address: 'd:1' };
  c?.answer([{ uuid, epoch: 1007, owner }]);
  b?.answer([]);
  t.equal(await settled, false);
  t.same(members.deposed, [[1007, owner]]);
  t.notOk(lease.isValid());
});

t.test('where nobody answers in time it goes on', async (t) => {
  const { clock, lease, sleep, asked, members } = scene(t, { up: [] });
  sleep(leaseMs);
  const settled = lease.settled();
  for (let ms = 0; ms < answerMs - 500; ms += 250) {
    await turns();
    clock.advance(250);
  }
  await turns();
  t.notOk(lease.isValid());
  t.equal(members.lookCount, 1, 'those that were down are pinged at once');
  for (let ms = 0; ms < 1000; ms += 250) {
    clock.advance(250);
    await turns();
  }
  t.equal(await settled, true);
  t.same(await asked(), []);
});

t.test('one that comes up meanwhile is asked', async (t) => {
  const { clock, lease, sleep, asked, members } = scene(t, { up: [] });
  sleep(leaseMs);
  const settled = lease.settled();
  await turns();
  members.up = ['c'];
  clock.advance(250);
  const [c] = await asked();
  c?.answer([{ uuid, epoch: 8, owner: { id: 'c', address: 'c:1' } }]);
  t.equal(await settled, false);
});

t.test('without others in the cluster there is nobody to ask', async (t) => {
  const { lease, sleep, members } = scene(t, { up: [] });
  members.hasOthers = false;
  sleep(leaseMs);
  t.equal(await lease.settled(), true);
});

t.test('etcd counts where no member is up', async (t) => {
  const { clock, lease, sleep, asked } = scene(t, { up: [], index: true });
  sleep(leaseMs);
  const settled = lease.settled();
  const [etcd] = await asked();
  t.equal(etcd?.node, 'etcd');
  etcd?.answer([]);
  await turns();
  clock.advance(250);
  t.equal(await settled, true);
});

t.test('a member that was not heard for long is asked before anything is answered', async (t) => {
  const { lease, returned, asked } = scene(t);
  returned('c');
  t.notOk(lease.isValid(), 'in the same turn');
  for (const { answer } of await asked()) answer([]);
  await turns();
  t.ok(lease.isValid());
});

t.test('a doubt in the middle of a round has it begin anew', async (t) => {
  for (const doubt of ['return', 'sleep'] as const) {
    const { lease, returned, sleep, asked } = scene(t);
    returned('b');
    const first = await asked();
    if (doubt === 'return') returned('c');
    else sleep(leaseMs);
    for (const { answer } of first) answer([]);
    const second = await asked();
    t.equal(second.length, 2, doubt);
    t.notOk(lease.isValid());
    for (const { answer } of second) answer([]);
    await turns();
    t.ok(lease.isValid());
  }
});

t.test('who fails is asked again', async (t) => {
  const { clock, lease, returned, asked } = scene(t, { up: ['b'] });
  returned('b');
  const [b] = await asked();
  b?.fail();
  await turns();
  clock.advance(250);
  const [again] = await asked();
  t.equal(again?.node, 'b');
  t.notOk(lease.isValid());
  again?.answer([]);
  await turns();
  t.ok(lease.isValid());
});

t.test('a disk that comes while others are asked is asked about, too; one that went by its own leave is not waited for', async (t) => {
  const { keeper, lease, returned, asked } = scene(t);
  returned('b');
  const late = keeper.open(3);
  t.notOk(late.isValid());
  lease.free();
  t.ok(lease.isValid());
  t.equal(await lease.settled(), true);
  for (const { answer } of await asked()) answer([]);
  const again = await asked();
  t.notOk(late.isValid(), 'the first questions were not about it');
  t.same(
    again.map(({ node }) => node),
    ['b', 'c'],
  );
  for (const { answer } of again) answer([]);
  await turns();
  t.ok(late.isValid());
});

t.test('a disk whose handover began before a doubt is asked about', async (t) => {
  for (const doubt of ['return', 'sleep'] as const) {
    const { clock, keeper, lease, sleep, returned, asked } = scene(t);
    lease.free();
    const sinceMs = clock.nowMs();
    if (doubt === 'sleep') sleep(leaseMs);
    else returned('b');
    // The timer fires before what was under way goes on.
    clock.advance(moveMs);
    t.same(await asked(), [], 'there is no disk yet');
    const first = keeper.open(3, sinceMs);
    t.notOk(first.isValid(), doubt);
    for (const { answer } of await asked()) answer([]);
    await turns();
    t.ok(first.isValid());
    const next = keeper.open(4, sinceMs);
    t.notOk(next.isValid());
    for (let ms = 0; ms < leaseMs; ms += moveMs) clock.advance(moveMs);
    t.ok(first.isValid(), 'the others go on while one is asked about');
    for (const { answer } of await asked()) answer([]);
    await turns();
    t.ok(next.isValid());
    t.ok(keeper.open(5, clock.nowMs()).isValid(), 'one that began after it is not');
    t.ok(keeper.open(6).isValid());
  }
});

t.test('a wait ends at its deadline, and when it is aborted', async (t) => {
  const { clock, lease, returned } = scene(t);
  returned('b');
  const late = lease.settled({ deadlineMs: 100 });
  clock.advance(100);
  await t.rejects(late, { code: 'ERR_DEADLINE' });
  await t.rejects(lease.settled({ signal: AbortSignal.abort() }), { code: 'ERR_ABORTED' });
});

t.test('force waits for the lease of a silent owner, and not for one that is back', async (t) => {
  const { clock, keeper, members } = scene(t, { up: [] });
  let isOver = false;
  members.silentMs = 2000;
  const wait = keeper.outlive('b').then(() => {
    isOver = true;
  });
  clock.advance(leaseMs - 2000);
  await turns();
  t.notOk(isOver);
  members.silentMs = 2 * leaseMs;
  clock.advance(500);
  await wait;
  members.silentMs = 0;
  members.up = ['b'];
  await keeper.outlive('b');
});
