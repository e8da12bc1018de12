/** Disks of Copse in domains of a system-mode libvirtd, whose guests run as libvirt-qemu. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { domainXml } from './domain.js';
import { GuestConsole } from './guest.js';
import { Place } from './place.js';
import { noSystemLibvirt, startSystemLibvirt } from './system-libvirtd.js';

const hook = fileURLToPath(new URL('../../../examples/libvirt/qemu', import.meta.url));
const skip = await noSystemLibvirt();

/** The example, with its settings where the test has them. */
async function hookFor(place: Place): Promise<string> {
  const conf = join(place.dir, 'hook.conf');
  await writeFile(conf, `COPSE=${await place.commandPath()}\nCOPSE_ADMIN=${place.adminAddress}\nCOPSE_TIMEOUT=60\n`);
  const script = await readFile(hook, 'utf8');
  const changed = script.replaceAll('/etc/copse/libvirt-hook.conf', conf);
  if (changed === script) throw new Error('the hook reads its settings elsewhere');
  return changed;
}

t.test('a system-mode libvirtd', { skip }, async (t) => {
  const place = await Place.create(t);
  const privateDaemon = await place.serve({ socketMode: '0600' });
  const libvirt = await startSystemLibvirt(place, { hook: await hookFor(place) });
  const { virsh, uri } = libvirt;
  /** A command that has to succeed. */
  const copse = async (...args: string[]) => {
    const { exitCode, stdout, stderr } = await place.copse(...args);
    t.equal(exitCode, 0, `copse ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const consolePath = join(place.dir, 'console.log');
  const guest = new GuestConsole(consolePath);

  /** QEMU connects again in the background, up to 16 seconds after it last found nobody. */
  const resumeUntil = async (runs: () => Promise<void>) => {
    let running = false;
    const turned = runs().then(() => {
      running = true;
    });
    while (!running) {
      const state = await virsh('domstate', 'web', '--reason');
      // It may run again by the time that it is told to.
      if (state.includes('paused')) await virsh('resume', 'web').catch(() => undefined);
      await Promise.race([turned, new Promise((resolve) => setTimeout(resolve, 100))]);
    }
    await turned;
  };

  await copse('disk', 'create', 'web/1', '--image', 'guest');
  const disks = await copse('libvirt', 'xml', 'web/1', '--boot', '1');
  const xml = join(place.dir, 'web.xml');
  await writeFile(xml, domainXml({ name: 'web', disks, consolePath }));
  await virsh('define', xml);

  await t.test('may not open a socket that is for root alone', async (t) => {
    const started = await virsh('start', 'web').catch((error: unknown) => error);
    t.match(started, { stderr: /nbd\.sock.*Permission denied/ });
  });
  await privateDaemon.stop();
  const permitted = { socketMode: '0660', socketGroup: 'libvirt-qemu' };
  let daemon = await place.serve(permitted);

  await t.test('starts a guest as libvirt-qemu, which the group of the socket lets in', async (t) => {
    await virsh('start', 'web');
    await guest.turns(3);
    const { mode, gid } = await stat(place.socketPath);
    t.equal(mode & 0o777, 0o660);
    t.not(gid, 0);
    const status = await readFile(`/proc/${await libvirt.pidOf('web')}/status`, 'utf8');
    t.match(status, /^Uid:\t[1-9]/m, 'QEMU is not root');
    const [domain] = JSON.parse(await copse('libvirt', 'ls', '--connect', uri, '--json'));
    t.match(domain, { name: 'web', state: 'running', disks: [{ target: 'vda', export: 'web/1', overlays: 0, bytes: { kind: 'disk' } }] });
  });

  await t.test('pauses the guest when the daemon is restarted, and goes on by virsh resume', async (t) => {
    await daemon.stop('SIGKILL');
    daemon = await place.serve(permitted);
    // Not told to wait for its server by this libvirt, QEMU fails one request, and connects again meanwhile.
    while (!(await virsh('domstate', 'web', '--reason')).includes('paused (I/O error)')) await guest.lines();
    await resumeUntil(() => guest.turns(5));
    t.same(await guest.failedTurns(), [], 'the guest has seen no error');
  });

  await t.test('takes one more disk, and gives it back', async (t) => {
    await copse('disk', 'create', 'data', '--size', '16M');
    const attached = JSON.parse(
      await copse('libvirt', 'attach', 'web', 'data', '--bus', 'scsi', '--live', '--config', '-c', uri, '--json'),
    );
    t.match(attached, { domain: 'web', export: 'data', target: 'sda', affected: ['live', 'config'] });
    t.match(await virsh('domblklist', 'web'), /sda +data/);
    t.match(await virsh('dumpxml', 'web', '--inactive'), /name='data'/);

    const again = await place.copse('libvirt', 'attach', 'web', 'data', '-c', uri, '--json');
    t.equal(JSON.parse(again.stdout).error.code, 'ERR_DISK_ATTACHED');

    await copse('libvirt', 'detach', 'web', 'data', '--live', '--config', '-c', uri);
    t.notMatch(await virsh('domblklist', 'web'), /data/);
    t.notMatch(await virsh('dumpxml', 'web', '--inactive'), /name='data'/);
    const gone = await place.copse('libvirt', 'detach', 'web', 'data', '-c', uri, '--json');
    t.equal(JSON.parse(gone.stdout).error.code, 'ERR_DISK_NOT_ATTACHED');
  });

  await t.test('a snapshot puts a qcow2 file over the export, and commits it again', async (t) => {
    const file = join(place.dir, 'libvirt', 'lib', 'web.snap.qcow2');
    await virsh('snapshot-create-as', 'web', 'before', '--disk-only', '--atomic', '--diskspec', `vda,file=${file}`);
    await guest.turns(3);
    const [domain] = JSON.parse(await copse('libvirt', 'ls', '-c', uri, '--json'));
    t.match(domain, { disks: [{ target: 'vda', export: 'web/1', overlays: 1 }] });
    t.ok((await stat(file)).size > 0);
    await virsh('blockcommit', 'web', 'vda', '--active', '--pivot', '--wait');
    await guest.turns(3);
    const [merged] = JSON.parse(await copse('libvirt', 'ls', '-c', uri, '--json'));
    t.match(merged, { disks: [{ target: 'vda', export: 'web/1', overlays: 0 }] });
    t.same(await guest.failedTurns(), []);
    const internal = await virsh('snapshot-create', 'web').catch((error: unknown) => error);
    t.match(internal, { stderr: /internal snapshot.*unsupported/ }, 'which needs a qcow2 disk');
  });

  await t.test('a hook keeps a guest from starting whose disk is not served', async (t) => {
    await virsh('destroy', 'web');
    const gone = join(place.dir, 'gone.xml');
    await writeFile(
      gone,
      domainXml({ name: 'gone', disks: disks.replace('"web/1"', '"web/2"'), consolePath: join(place.dir, 'gone.log') }),
    );
    await virsh('define', gone);
    const refused = await virsh('start', 'gone').catch((error: unknown) => error);
    t.match(refused, { stderr: /Hook script execution failed.*this host serves no disk and no image web\/2/s });

    await copse('disk', 'create', 'web/2', '--image', 'guest');
    await virsh('start', 'gone');
    await new GuestConsole(join(place.dir, 'gone.log')).turns(2);
    await virsh('destroy', 'gone');
  });
});
