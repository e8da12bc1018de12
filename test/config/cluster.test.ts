import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { FileInput } from '../../src/config/file-schema.js';
import { loadConfig } from '../../src/config/load.js';

const root = { env: {}, isRoot: true, hostName: 'host-a' };
const cache = { size: '1G' };

const load = (flags: FileInput, file?: string) => loadConfig({ file, flags: { state: '/none/such', cache, ...flags }, ...root });

t.test('what makes a cluster', async (t) => {
  const alone = await load({ node: { address: 'a:1' } });
  t.same(
    [alone.node, alone.cluster],
    [{ id: 'host-a', address: 'a:1', listen: { kind: 'tcp', host: 'a', port: 1 } }, undefined],
    'an address alone does not',
  );
  const plain = { name: 'default', autoRttUs: 500, maxMembers: 64, members: [], donatedBytes: 2 ** 30, peers: 'strong' };
  t.same((await load({ node: { address: 'a:1' }, cluster: { members: ['b:1'] } })).cluster, { ...plain, members: ['b:1'] });
  t.same((await load({ node: { address: 'a:1' }, cluster: { name: 'x' } })).cluster, { ...plain, name: 'x' }, 'the first of its cluster');

  const withEtcd = await load({ node: { address: 'a:1' }, etcd: { url: ['http://e:1', 'http://f:1/'] } });
  t.same(withEtcd.cluster, plain);
  t.match(withEtcd.etcd, { urls: ['http://e:1', 'http://f:1'], user: undefined, password: undefined, prefix: '/copse' });
  const auto = await load({ node: { address: 'a:1' }, cluster: { name: 'auto' }, etcd: { url: ['http://e:1'] } });
  t.same(auto.cluster, { ...plain, name: undefined });
});

t.test("one's own address among the peers is ignored, and so is what stands there twice", async (t) => {
  const members = ['Host-A:7', 'b:7', '[2001:DB8::0:1]:7', 'host-a:8', 'B:7', '[2001:db8::1]:7'];
  const { cluster } = await load({ node: { address: 'host-a:7' }, cluster: { members } });
  t.same(cluster?.members, ['b:7', '[2001:DB8::0:1]:7', 'host-a:8']);
});

t.test('what is donated', async (t) => {
  const donated = async (donate: string | number) => (await load({ node: { address: 'a:1' }, cluster: { donate } })).cluster?.donatedBytes;
  t.equal(await donated(0), 0, 'nothing');
  t.equal(await donated('0'), 0);
  t.equal(await donated('512M'), 2 ** 29);
  t.equal(await donated('1G'), 2 ** 30, 'all of it');
});

t.test('flags over file, key by key', async (t) => {
  const file = join(t.testdir(), 'c.toml');
  await writeFile(
    file,
    `[node]\nid = "f"\naddress = "f:1"\nlisten = "tcp:0.0.0.0:1"\n[cluster]\nname = "n"\nmembers = ["a:1", "b:1"]\nauto_rtt_us = 7
[[image]]\nname = "i"\nurl = "i.raw"\nmanifest = "i.manifest"\ndigest = "blake3:${'0'.repeat(64)}"\nshare = "trust"\n`,
  );
  const config = await load({ node: { address: 'g:2' }, cluster: { members: ['c:1'] } }, file);
  t.same(config.node, { id: 'f', address: 'g:2', listen: { kind: 'tcp', host: '0.0.0.0', port: 1 } });
  t.match(config.cluster, { name: 'n', members: ['c:1'], autoRttUs: 7 });
  t.match(config.images, [{ url: /\/i\.raw$/, manifest: /^\/.*\/i\.manifest$/, digest: /^blake3:0{64}$/, share: 'trust' }]);
});

t.test("a host's name as a node's id", async (t) => {
  const idOf = async (hostName: string) => (await loadConfig({ ...root, hostName, flags: { state: '/none/such' } })).node.id;
  t.equal(await idOf('kvm-7.example.org'), 'kvm-7.example.org');
  t.equal(await idOf('_über host'), 'ber-host');
  t.equal(await idOf('-'), 'node');
  t.equal((await idOf('x'.repeat(80))).length, 63);
});
