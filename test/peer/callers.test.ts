/**
 * The address of a connection decides which member it comes from. A name only chooses among the
 * members of that address.
 */
import t from 'tap';
import type { MemberView } from '../../src/cluster/health/member-view.js';
import { Callers } from '../../src/peer/server/callers.js';
import { ManualClock } from '../cache/manual-clock.js';

const clock = new ManualClock();

function member(id: string, address: string, rest: Partial<MemberView> = {}): MemberView {
  return { id, address, state: 'up', ...rest };
}

function from(address: string) {
  return { key: `tcp:${address}`, text: `${address}:4711` };
}

function callersOf(members: MemberView[], options: Partial<ConstructorParameters<typeof Callers>[0]> = {}): Callers {
  return new Callers({ members: () => members, meet: async () => {}, clock, ...options });
}

t.test('a member alone at its address is known without a name, and by no other name', async (t) => {
  const callers = callersOf([member('self', '10.0.0.1:1', { state: 'self' }), member('b', '10.0.0.2:1'), member('c', '10.0.0.3:1')]);
  t.same(await callers.identify(from('10.0.0.2'), undefined), { id: 'b', address: '10.0.0.2:1' });
  t.same(await callers.identify(from('::ffff:10.0.0.2'), 'b'), { id: 'b', address: '10.0.0.2:1' });
  for (const name of ['c', 'self', 'nobody']) await t.rejects(callers.identify(from('10.0.0.2'), name), { code: 'ERR_CALLER' });
});

t.test('strangers', async (t) => {
  const callers = callersOf([
    member('self', '10.0.0.1:1', { state: 'self' }),
    member('b', '10.0.0.2:1'),
    member('other', '10.0.0.5:1', { state: 'incompatible' }),
    member('double', '10.0.0.6:1', { state: 'conflict' }),
  ]);
  for (const address of ['10.0.0.9', '10.0.0.1', '10.0.0.5', '10.0.0.6', '10.0.0.20', '127.0.0.1']) {
    t.equal(await callers.identify(from(address), 'b'), undefined, address);
  }
  t.equal(await callers.identify({ key: 'unix:1:1', text: 'pid 1' }, 'b'), undefined, 'a socket of this host has no address');
});

t.test('of several nodes of one host the name decides, and without one nobody is taken for any of them', async (t) => {
  const callers = callersOf([member('self', '127.0.0.1:1', { state: 'self' }), member('b', '127.0.0.1:2'), member('c', '127.0.0.1:3')]);
  t.same(await callers.identify(from('127.0.0.1'), 'c'), { id: 'c', address: '127.0.0.1:3' });
  await t.rejects(callers.identify(from('127.0.0.1'), undefined), { code: 'ERR_CALLER' });
  await t.rejects(callers.identify(from('127.0.0.1'), 'd'), { code: 'ERR_CALLER' });
  t.equal(await callers.identify(from('127.0.0.9'), 'c'), undefined, 'another address of the loopback is nobody');
});

t.test('within the loopback the kernel connects from 127.0.0.1', async (t) => {
  const callers = callersOf([member('b', '127.64.3.4:2'), member('c', '[::1]:3'), member('d', '10.0.0.1:4')]);
  t.same(await callers.identify(from('127.0.0.1'), 'b'), { id: 'b', address: '127.64.3.4:2' });
  t.same(await callers.identify(from('::1'), 'c'), { id: 'c', address: '[::1]:3' });
  await t.rejects(callers.identify(from('127.0.0.1'), 'd'), { code: 'ERR_CALLER' });
});

t.test('a host of several addresses, and one that is listed by name', async (t) => {
  const asked: string[] = [];
  const resolve = async (host: string): Promise<string[]> => {
    asked.push(host);
    if (host === 'gone.example') throw new Error('ENOTFOUND');
    return ['10.0.0.3', 'fd00::3'];
  };
  const callers = callersOf(
    [
      member('b', '10.0.0.2:1', { addresses: ['10.1.0.2', 'fe80::2'] }),
      member('c', 'c.example:1'),
      member('d', 'gone.example:1', { state: 'down', addresses: ['10.0.0.4'] }),
    ],
    { resolve },
  );
  t.equal((await callers.identify(from('10.1.0.2'), 'b'))?.id, 'b');
  t.equal((await callers.identify(from('fe80::2%eth0'), 'b'))?.id, 'b');
  t.equal((await callers.identify(from('fd00::3'), undefined))?.id, 'c');
  t.equal((await callers.identify(from('10.0.0.4'), 'd'))?.id, 'd', 'a node that does not answer now may ask all the same');
  t.same([...new Set(asked)].sort(), ['c.example', 'gone.example']);
  t.equal(asked.length, 2, 'names are asked for once, for a while');
});

t.test('a listed address whose node was never heard of is pinged first', async (t) => {
  const members = [member('10.0.0.2:1', '10.0.0.2:1', { state: 'down' })];
  const met: string[] = [];
  const meet = async (address: string): Promise<void> => {
    met.push(address);
    if (met.length === 2) members[0] = member('b', '10.0.0.2:1');
  };
  const callers = callersOf(members, { meet });
  t.equal(await callers.identify(from('10.0.0.2'), 'b'), undefined, 'it does not answer');
  t.same(await callers.identify(from('10.0.0.2'), 'b'), { id: 'b', address: '10.0.0.2:1' });
  t.equal(await callers.identify(from('10.0.0.3'), 'b'), undefined);
  t.equal(met.length, 2, 'nobody is pinged for a stranger');
});
