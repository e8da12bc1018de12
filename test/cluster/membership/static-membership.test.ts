/** A list of peers: others only, each once, whatever one's own address is called. */
import { hostname } from 'node:os';
import t from 'tap';
import type { ResolveHost } from '../../../src/cluster/membership/peer-list.js';
import { StaticMembership } from '../../../src/cluster/membership/static-membership.js';
import { record } from './node.js';

const hosts: Record<string, string[]> = {
  '10.0.0.1': ['10.0.0.1'],
  '10.0.0.2': ['10.0.0.2'],
  '::ffff:10.0.0.1': ['::ffff:10.0.0.1'],
  'one.example': ['10.0.0.1', 'fd00::1'],
  'fd00::1': ['fd00::1'],
  'two.example': ['10.0.0.2'],
  [hostname().toLowerCase()]: ['127.0.1.1'],
};

const resolve: ResolveHost = async (host) => {
  const addresses = hosts[host];
  if (addresses === undefined) throw new Error('ENOTFOUND');
  return addresses;
};

async function addresses(peers: string[], self: string): Promise<string[]> {
  const membership = await StaticMembership.open(peers, self, resolve);
  return membership.seeds.map(({ address }) => address);
}

t.test('the others are seeds, in their order; it has no ids and never changes', async (t) => {
  const membership = await StaticMembership.open(['10.0.0.2:7000', '10.0.0.3:7000'], '10.0.0.1:7000', resolve);
  t.same(membership.seeds, [{ address: '10.0.0.2:7000' }, { address: '10.0.0.3:7000' }]);
  t.same(membership.status, { kind: 'static', well: true });
  membership.onChange(() => t.fail('it changed'))();
  membership.announce(record('a'));
  membership.close();
});

t.test("one's own address is left out, however it is written", async (t) => {
  const self = ['10.0.0.1:7000', 'one.example:7000', 'ONE.example:7000', '[fd00::1]:7000', '[::ffff:10.0.0.1]:7000', `${hostname()}:7000`];
  t.same(await addresses([...self, '10.0.0.2:7000'], 'one.example:7000'), ['10.0.0.2:7000']);
  t.same(await addresses(['10.0.0.1:7001', '10.0.0.1:7000'], '10.0.0.1:7000'), ['10.0.0.1:7001'], 'another port is another node');
});

t.test('the same peer twice is one; a name that can not be resolved is kept', async (t) => {
  t.same(await addresses(['two.example:7000', '10.0.0.2:7000', 'two.example:7001', 'nowhere.example:7000'], '10.0.0.1:7000'), [
    'two.example:7000',
    'two.example:7001',
    'nowhere.example:7000',
  ]);
});

t.test('localhost is resolved by the system', async (t) => {
  const membership = await StaticMembership.open(['localhost:7000', '127.0.0.1:7000', '127.0.0.1:7001'], '127.0.0.1:7000');
  t.same(membership.seeds, [{ address: '127.0.0.1:7001' }]);
});

t.test('what is no HOST:PORT is refused', async (t) => {
  for (const peer of ['10.0.0.1', 'host:port', 'http://host:1', 'fd00::1:7000']) {
    await t.rejects(StaticMembership.open([peer], '10.0.0.1:7000', resolve), { code: 'ERR_URL' }, peer);
  }
});
