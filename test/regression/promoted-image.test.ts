/**
 * Broke: removing an image that a disk was promoted to left its file and manifest behind, and no disk could be promoted to that name again.
 */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { AdminClient } from '../../src/admin/client.js';
import { EtcdServer } from '../cluster/etcd-server.js';
import { allUp, controlOf } from '../cluster/fault/disk-fleet.js';
import { prepareFleet } from '../cluster/fault/node.js';
import { Daemon } from '../fault/daemon.js';
import { until } from '../support/wait.js';

const sizeBytes = 2 ** 20;
const job = { signal: new AbortController().signal, onProgress: () => {} };

t.test('the file and the manifest of a promoted image go with it, when nobody uses them', async (t) => {
  const daemon = await Daemon.start(t, { images: {} });
  const control = new AdminClient({ kind: 'unix', path: join(daemon.folder, 'admin.sock') });
  t.teardown(() => control.close());
  const files = () => readdirSync(join(daemon.state, 'image'));
  const manifests = () => readdirSync(join(daemon.state, 'manifest'));
  await control.disks.create({ name: 'vm1', sizeBytes });
  const writer = await daemon.attach('vm1');
  t.equal((await writer.write(0, Buffer.alloc(4096, 0x70))).error, 0);
  writer.bytes.destroy();
  const promote = () => {
    return until('the daemon has heard that the writer has left', async () => {
      try {
        return await control.disks.promote('vm1', 'golden', job);
      } catch (error) {
        if ((error as { code: string }).code !== 'ERR_DISK_IN_USE') throw error;
        return undefined;
      }
    });
  };
  const firstByte = async (name: string) => {
    const session = await daemon.attach(name);
    const answer = await session.read(0, 4096);
    session.bytes.destroy();
    return answer.data[0];
  };

  for (const round of [1, 2]) {
    const { path, manifestPath } = await promote();
    t.ok(existsSync(path) && existsSync(manifestPath), `promoted, time ${round}`);
    t.equal(await firstByte('golden'), 0x70);
    await removed('golden');
    t.same([files(), manifests()], [[], []], 'nothing is left');
  }

  // A disk over the image keeps it, also under another name. A second image of the same file keeps the file.
  const { path, manifestPath, digest } = await promote();
  await control.disks.create({ name: 'vm2', image: 'golden' });
  await control.images.rename('golden', 'silver');
  await t.rejects(control.images.remove('silver'), { code: 'ERR_IMAGE_IN_USE' });
  t.ok(existsSync(path));
  await promote();
  t.equal(files().length, 2, 'the name that is free has a file of its own');
  await removed('golden');
  t.same(files().length, 1);
  t.ok(existsSync(manifestPath), 'the same bytes have one manifest, which the other image uses');
  await control.images.add({ name: 'copy', url: path, manifest: manifestPath, digest });
  await t.resolves(control.disks.remove('vm2'));
  await removed('silver');
  t.ok(existsSync(path) && existsSync(manifestPath), 'another image reads the file');
  t.equal(await firstByte('copy'), 0x70);
  await removed('copy');
  t.same([files(), manifests()], [[], []]);

  // What was marked and left by a crash goes at the next start. A file that nobody marked stays.
  await daemon.stop();
  for (const name of ['left.raw', 'kept.raw']) writeFileSync(join(daemon.state, 'image', name), 'x');
  writeFileSync(join(daemon.state, 'image', 'left.raw.removed'), '{}');
  await daemon.start();
  t.same(files(), ['kept.raw']);

  /** Removes an image as soon as the daemon has heard that its readers have left. */
  async function removed(name: string): Promise<void> {
    await until(`${name} has no readers`, async () => {
      try {
        await control.images.remove(name);
        return true;
      } catch (error) {
        if (!/clients? attached/.test((error as Error).message)) throw error;
        return false;
      }
    });
  }
});

t.test('it goes on the node that has it, though another node removes the image', async (t) => {
  const etcd = await EtcdServer.start();
  t.teardown(() => etcd.stop());
  const nodes = await prepareFleet(t, { at: 2, etcd: etcd.url, images: {} });
  await Promise.all(nodes.map((node) => node.start()));
  await allUp(nodes);
  const [one] = nodes;
  const [atOne, atTwo] = nodes.map((node) => controlOf(t, node));
  if (one === undefined || atOne === undefined || atTwo === undefined) throw new Error('two nodes');
  await atOne.disks.create({ name: 'vm1', sizeBytes });
  const { path, manifestPath } = await atOne.disks.promote('vm1', 'golden', job);
  await until('the other node serves it', async () => (await atTwo.images.list()).some(({ name }) => name === 'golden'));
  await atTwo.images.remove('golden');
  await until('its file has gone', () => !existsSync(path));
  await until('so has its manifest', () => !existsSync(manifestPath));
  t.same(readdirSync(join(one.state, 'image')), []);
});
