/** Nodes that share an id, and an etcd that is killed, stalled and wiped while guests read. */
import t, { type Test } from 'tap';
import { pattern } from '../../conformance/content.js';
import { ScriptedOrigin } from '../../fault/origin.js';
import { differences } from '../../support/differences.js';
import { until } from '../../support/wait.js';
import { EtcdServer } from '../etcd-server.js';
import { watchSights } from './lost-sight.js';
import { ClusterNode, imageName, loopbackAddress, startFleet, total, whole } from './node.js';
import { Readers } from './reader.js';

const mebibyte = 2 ** 20;
const bytes = pattern(20 * mebibyte, 81);
const imageLines = { [imageName]: ['format = "raw"'] };

async function startEtcd(t: Test): Promise<EtcdServer> {
  const etcd = await EtcdServer.start();
  t.teardown(() => etcd.stop());
  return etcd;
}

t.test('two nodes with one id, named by a static list: the one that came later is told apart, and not used', async (t) => {
  const origin = await ScriptedOrigin.start(t, bytes);
  const address = loopbackAddress();
  const nodes = await startFleet(t, { at: 2, others: [address], images: { [imageName]: origin.url } });
  const [first, second] = nodes;
  if (first === undefined || second === undefined) throw new Error('two nodes were asked for');
  // It calls itself as the second one does.
  const peers = nodes.map((node) => node.address);
  const double = await ClusterNode.prepare(t, { id: second.id, address, peers, images: { [imageName]: origin.url }, imageLines });
  await double.start();
  const shown = async (at: ClusterNode): Promise<string[]> => {
    const { members } = await at.cluster();
    return members.map((member) => `${member.address} ${member.state}`).sort();
  };
  await until('the first tells them apart', async () => (await shown(first)).includes(`${address} conflict`));
  await until('who was there first stays', async () => (await shown(first)).includes(`${second.address} up`));
  t.match((await first.cluster()).members.find((member) => member.address === address)?.message, /--node/);
  await until('the second knows of the other', async () => (await shown(second)).includes(`${address} conflict`));
  t.same(await differences(await first.attach(imageName), bytes), []);
  t.same(await differences(await double.attach(imageName), bytes), [], 'its own guests are served all the same');
  await until('the log says it', () => first.logged(/not used/).length > 0);
});

t.test('two nodes with one id in etcd: the second does not start, and says why', async (t) => {
  const etcd = await startEtcd(t);
  const origin = await ScriptedOrigin.start(t, bytes);
  const [first] = await startFleet(t, { at: 1, etcd: etcd.url, images: { [imageName]: origin.url } });
  const options = { id: 'n1', address: loopbackAddress(), etcd: etcd.url, images: { [imageName]: origin.url }, imageLines };
  const double = await ClusterNode.prepare(t, options);
  const exit = await double.launch();
  t.ok(exit !== undefined && exit.code !== 0, 'it ended');
  t.match(double.stderr, /n1.*--node|--node.*n1/);
  t.equal((await first?.cluster())?.membership.kind, 'etcd');
  await until('the first is well', async () => (await first?.cluster())?.membership.well === true);
});

t.test('etcd is killed, stalled and wiped while guests read: none of them notices, and the records come back', async (t) => {
  const etcd = await startEtcd(t);
  const origin = await ScriptedOrigin.start(t, bytes);
  const nodes = await startFleet(t, { at: 3, etcd: etcd.url, images: { [imageName]: origin.url } });
  const sights = watchSights(nodes);
  const readers = new Readers(bytes);
  readers.windowBytes = 5 * mebibyte;
  nodes.forEach((node, index) => {
    readers.add(node, index + 1);
  });
  await readers.progress(30);
  const all = async (what: string, well: boolean): Promise<void> => {
    for (const node of nodes) await until(`${node.id}: ${what}`, async () => (await node.cluster()).membership.well === well);
  };
  const step = async (): Promise<void> => {
    readers.windowBytes += 5 * mebibyte;
    await readers.progress(60);
    t.same(readers.failures, []);
  };
  const last = async (): Promise<void> => {
    for (const node of nodes) {
      const ids = (await node.cluster()).members.map(({ id }) => id).sort();
      t.same(ids, ['n1', 'n2', 'n3'], `${node.id} keeps the last view`);
      // One that is down for a moment is one that has missed a ping.
      await until(`all are well for ${node.id}`, async () =>
        (await node.cluster()).members.every(({ state }) => state === 'self' || state === 'up'),
      );
    }
  };

  await etcd.kill();
  await all('etcd is away', false);
  await last();
  await step();
  await etcd.restart();
  await all('etcd is back', true);

  etcd.stall();
  await all('etcd says nothing', false);
  await last();
  await step();
  etcd.resume();
  await all('etcd goes on', true);

  await etcd.wipe();
  await step();
  await all('etcd is empty, and filled again', true);
  await last();
  await readers.stop();

  // Their records are there again: one that knows nobody finds all of them.
  const options = {
    id: 'n4',
    address: loopbackAddress(),
    etcd: etcd.url,
    images: { [imageName]: origin.url },
    imageLines,
    chunkSize: '64K',
  };
  const late = await ClusterNode.prepare(t, options);
  const lostBefore = sights.lost();
  await late.start();
  await whole([...nodes, late]);
  const sightsOfFour = watchSights([...nodes, late]);
  for (const node of [...nodes, late]) t.same(await differences(await node.attach(imageName), bytes), []);
  const chunkCount = bytes.length / (64 * 1024);
  const sentCount = await total([...nodes, late], 'copse_origin_chunks_total');
  const lost = lostBefore + sightsOfFour.lost();
  t.ok(
    sentCount >= chunkCount && sentCount <= (1 + lost) * chunkCount,
    `all of it came from the origin once: ${sentCount} of ${chunkCount}`,
  );

  // A node that starts while etcd is away begins with the view that it had.
  await etcd.kill();
  await late.kill();
  await origin.stop();
  await late.start();
  await until('it finds the others', async () => (await late.cluster()).members.filter(({ state }) => state === 'up').length === 3);
  t.same(await differences(await late.attach(imageName), bytes), [], 'with the origin gone, too');
});
