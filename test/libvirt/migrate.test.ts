/** A guest that writes moves between two libvirtds, its disk on one daemon: the disk is where it was, and the newer connection has it. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { domainXml } from './domain.js';
import { GuestConsole } from './guest.js';
import { Place } from './place.js';
import { startTwoLibvirtds } from './two-libvirtds.js';

t.test('live migration, there and back', async (t) => {
  const place = await Place.create(t);
  await place.serve({ socketMode: '0666' });
  const { a, b, migrate } = await startTwoLibvirtds(place);
  const created = await place.copse('disk', 'create', 'web', '--image', 'guest');
  t.equal(created.exitCode, 0, created.stderr);

  const consoleDir = join(place.dir, 'console');
  await mkdir(consoleDir);
  await chmod(consoleDir, 0o777);
  const consolePath = join(consoleDir, 'web.log');
  const guest = new GuestConsole(consolePath);
  const xml = join(place.dir, 'web.xml');
  const { stdout: disks } = await place.copse('libvirt', 'xml', 'web');
  await writeFile(xml, domainXml({ name: 'web', disks, consolePath }));
  await a.virsh('create', xml);
  await guest.turns(3);

  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    await migrate('web', from, to);
    t.match(await to.virsh('domstate', 'web'), 'running');
    t.equal(await from.virsh('list', '--name'), '');
    await guest.turns(5);
    const [domain] = JSON.parse((await place.copse('libvirt', 'ls', '--connect', to.uri, '--json')).stdout);
    t.match(domain, { name: 'web', state: 'running', disks: [{ target: 'vda', export: 'web' }] });
  }
  t.same(await guest.failedTurns(), [], 'it read what it had written, all the way');
});
