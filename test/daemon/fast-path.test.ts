/** The fast path in a whole node: who is on it, what it answers, and that images and disks change under it as they did without. */
import { writeFileSync } from 'node:fs';
import t from 'tap';
import { CmdFlag, Errno } from '../conformance/wire/constant.js';
import type { Session } from '../conformance/wire/session.js';
import { holds } from '../support/wait.js';
import { content, Node } from './node.js';

const sizeBytes = 1024 * 1024;
const blockBytes = 4096;
const [first, second] = [content(sizeBytes, 1), content(sizeBytes, 2)];

async function withImage(t: Parameters<typeof Node.start>[0], fastPath: boolean): Promise<Node> {
  const node = await Node.start(t, { server: { fastPath } });
  writeFileSync(node.originPath('a'), first);
  await node.admin.images.add({ name: 'a', url: node.originPath('a') });
  await node.readAll('a', sizeBytes);
  await node.stored('a', sizeBytes);
  return node;
}

t.test('status and metrics say what was answered natively, as part of all that was answered', async (t) => {
  const node = await withImage(t, true);
  const before = (await node.admin.node.status()).fastPath;
  const { session, detach } = await node.attach('a');
  for (let count = 0; count < 10; count += 1) await session.read(count * blockBytes, blockBytes);
  const { fastPath } = await node.admin.node.status();
  t.same([fastPath.enabled, fastPath.connections], [true, 1]);
  t.ok(fastPath.reads - before.reads >= 9, 'what comes before the first grant is left to JavaScript');
  t.equal(fastPath.reads - before.reads + (fastPath.handedUp - before.handedUp), 10);
  const metrics = await node.admin.node.metrics();
  t.match(metrics, 'copse_fast_path_connections{export="a"} 1');
  t.match(metrics, `copse_fast_path_reads_total{export="a"} ${fastPath.reads}`);
  t.match(metrics, `copse_fast_path_handed_up_total{export="a"} ${fastPath.handedUp}`);
  const { sources } = await node.admin.node.explain('a');
  const [, counted] = /copse_export_read_seconds_count\{source="cache"\} (\d+)/.exec(metrics) ?? [];
  t.equal(sources.cache.reads, Number(counted));
  t.ok(sources.cache.reads >= fastPath.reads);
  await detach();
  t.equal((await node.admin.node.status()).fastPath.connections, 0);
});

t.test('it can be turned off', async (t) => {
  const node = await withImage(t, false);
  const { session, detach } = await node.attach('a');
  t.ok((await session.read(0, blockBytes)).data.equals(first.subarray(0, blockBytes)));
  t.same((await node.admin.node.status()).fastPath, { enabled: false, connections: 0, reads: 0, coldReads: 0, writes: 0, handedUp: 0 });
  await detach();
});

t.test('who is attached over a repin reads the old content, natively, and its files go with the last', async (t) => {
  const node = await withImage(t, true);
  const old = await node.attach('a');
  await old.session.read(0, blockBytes);
  writeFileSync(node.originPath('b'), second);
  await node.admin.images.add({ name: 'b', url: node.originPath('b') });
  await node.readAll('b', sizeBytes);
  await node.admin.images.remove('b');
  const before = (await node.admin.node.status()).fastPath.reads;
  t.ok((await old.session.read(0, sizeBytes)).data.equals(first));
  t.ok((await node.admin.node.status()).fastPath.reads > before);
  await old.detach();
  await node.admin.images.remove('a');
});

/** Writes again and again until that fails. */
async function writeOn(session: Session): Promise<number> {
  for (;;) {
    const { error } = await session.write(0, Buffer.alloc(blockBytes, 1));
    if (error !== 0) return error;
  }
}

t.test('a newer client that writes cuts off one that wrote natively', async (t) => {
  const node = await withImage(t, true);
  await node.admin.disks.create({ name: 'vm', image: 'a' });
  const old = await node.attach('vm');
  const writing = writeOn(old.session);
  await holds(async () => (await node.admin.node.status()).fastPath.writes >= 100);
  const newer = await node.attach('vm');
  const mark = Buffer.alloc(blockBytes, 0xee);
  t.equal((await newer.session.write(0, mark, CmdFlag.fua)).error, 0);
  t.equal(await writing, Errno.EIO);
  t.ok((await newer.session.read(0, blockBytes)).data.equals(mark), 'nothing of the old one comes after it');
  await old.detach();
  await newer.detach();
});
