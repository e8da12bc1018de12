/**
 * Plain `virsh migrate --live` between two libvirtds, each with a daemon of its own: no shared storage, no copying, no hook. The guest's records hold.
 *
 * Each host is a network namespace, and a mount namespace in which the daemon's socket has the path that it has on the other one, too.
 */
import { chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { Lab } from '../lab/lab.js';
import { until } from '../support/wait.js';
import { buildGuest } from './guest.js';
import { GuestConsole } from './guest-console.js';
import { inOrder } from './in-order.js';
import { bareDomain, guestDomain, LibvirtHost } from './libvirt-host.js';

/**
 * The guest runs for a second of the time that its memory takes, and stands still for the rest: when QEMU looks a second time which pages were written to, it could lose one (vm.ts, `sendTo`). None was lost
 * in 220 migrations of that kind.
 */
const haltAfterSecond = ['--bandwidth', '24', '--timeout', '1', '--timeout-suspend'];

t.test('a guest of libvirt moves, and its disk with it', { skip: (await Lab.unavailable()) ?? false }, async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'copse-v-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  // QEMU runs as nobody.
  await chmod(dir, 0o777);
  const guest = await buildGuest();
  await copyFile(guest.kernelPath, join(dir, 'kernel'));
  await copyFile(guest.initrdPath, join(dir, 'initrd'));
  const shared = join(dir, 'host');
  await mkdir(shared);
  const lab = await Lab.start({ hostCount: 2, originLatencyMs: 0 });
  t.teardown(() => lab.close());
  const start = async (index: number): Promise<LibvirtHost> => {
    const host = await LibvirtHost.start({ lab, index, dir: join(dir, `${index}`), shared });
    t.teardown(() => host.close());
    return host;
  };
  const [a, b] = await Promise.all([start(0), start(1)]);
  await Promise.all([a.sees(2), b.sees(2)]);

  const next = inOrder(t);
  let count = 0;
  const migrate = async (name: string, from: LibvirtHost, to: LibvirtHost): Promise<void> => {
    count += 1;
    await from.virsh('migrate', '--live', ...haltAfterSecond, name, to.uri, '--migrateuri', `unix://${dir}/ram-${count}.sock`);
  };
  const consoles: GuestConsole[] = [];
  const complaints = (): string[] => consoles.flatMap(({ bad, badCount }) => [...bad, ...(badCount > 0 ? [`${badCount} in all`] : [])]);
  const consoleAt = async (host: LibvirtHost): Promise<GuestConsole> => {
    const console = await GuestConsole.connect(join(host.guestDir, 'serial.sock'));
    consoles.push(console);
    return console;
  };

  await a.admin.disks.create({ name: 'web', sizeBytes: 32 * 2 ** 20 });
  const disk = await a.copse('libvirt', 'xml', 'web');
  t.match(disk, `${shared}/nbd.sock`);
  const xml = join(dir, 'web.xml');
  await writeFile(
    xml,
    guestDomain({ name: 'web', disk, kernel: join(dir, 'kernel'), initrd: join(dir, 'initrd'), guestDir: `${shared}/guest` }),
  );
  await a.virsh('create', xml);
  const first = await consoleAt(a);
  await first.ready();
  first.tell('write');
  await first.writes(50);

  await next('there', async (t) => {
    await migrate('web', a, b);
    t.equal(await a.virsh('list', '--name'), '');
    t.match(await b.virsh('domstate', 'web'), 'running');
    const console = await consoleAt(b);
    await console.writes(50);
    t.match(await b.admin.disks.status('web'), { place: 'owner', epoch: 2 });
    await until('no copy at the source', async () => (await a.folders()).length === 0);
    await a.stop();
    await console.writes(50);
    t.same(complaints(), []);
    await a.startDaemon();
    await Promise.all([a.sees(2), b.sees(2)]);
  });

  await next('and back', async (t) => {
    await migrate('web', b, a);
    const console = await consoleAt(a);
    await console.writes(50);
    t.match(await a.admin.disks.status('web'), { place: 'owner', epoch: 3 });
    await until('no copy at the source', async () => (await b.folders()).length === 0);
    t.ok((await console.check()) > 0);
    t.same(complaints(), []);
    await a.virsh('destroy', 'web');
  });

  await next('libvirt asks for no word that it is safe, whatever the cache mode: QEMU caches nothing of an NBD disk', async (t) => {
    await a.admin.disks.create({ name: 'cached', sizeBytes: 2 ** 20 });
    const cached = await a.copse('libvirt', 'xml', 'cached', '--cache', 'writeback');
    const path = join(dir, 'cached.xml');
    await writeFile(path, bareDomain({ name: 'cached', disk: cached }));
    await a.virsh('create', path);
    await migrate('cached', a, b);
    t.match(await b.virsh('domstate', 'cached'), 'running');
  });
});
