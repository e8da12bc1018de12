/**
 * Broke: with /proc hidden from the daemon (`ProtectProc=invisible`, `hidepid=2`) a displaced client took its disk back.
 *
 * The daemon read a client's start time from /proc, could not, and took all clients for unknown ones. It remembered no
 * fence for those. Two guests with `reconnect-delay` took the disk from each other in turn.
 */
import { chown, readFile } from 'node:fs/promises';
import { release } from 'node:os';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import type { DaemonStatus } from '../../src/admin/control.js';
import { Daemon } from '../fault/daemon.js';
import { DiskHost } from '../fault/disk-host.js';
import { QemuIo } from '../fault/disk-qemu-io.js';
import { missing } from '../interop/serving.js';
import { shortDir } from '../support/short-dir.js';
import { until } from '../support/wait.js';

function isLinux(minMajor: number, minMinor: number): boolean {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  return major > minMajor || (major === minMajor && minor >= minMinor);
}

const otherUser = 65534;
const skip =
  process.getuid?.() !== 0
    ? 'needs root'
    : // Since then each mount of proc has a `hidepid` of its own. Before, this would hide /proc from everybody.
      !isLinux(5, 8)
      ? 'needs Linux 5.8'
      : (await missing('qemu-io', '--version')) || (await missing('setpriv', '--version'));
const failed = 5;
const block = Buffer.alloc(4096, 0x41);

/** The daemon runs as another user, in a mount namespace whose /proc shows a process to its own user alone. */
async function startHidden(test: Test): Promise<{ host: DiskHost; daemon: Daemon }> {
  const folder = shortDir(test);
  const script = `mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid=${otherUser} --regid=${otherUser} --clear-groups "$@"`;
  const place = {
    command: (program: string, args: readonly string[]) => ({
      command: 'unshare',
      args: ['--mount', 'sh', '-c', script, 'sh', program, ...args],
    }),
  };
  const daemon = new Daemon(folder, { images: {}, place });
  test.teardown(() => daemon.kill());
  for (const path of [folder, daemon.state]) await chown(path, otherUser, otherUser);
  await daemon.start();
  return { daemon, host: DiskHost.of(daemon) };
}

t.test('the unit lets the daemon see the processes of its clients', async (t) => {
  const unit = await readFile(fileURLToPath(new URL('../../../examples/systemd/copse.service', import.meta.url)), 'utf8');
  t.match(unit, /^ProtectProc=default$/m);
});

t.test('a displaced client stays out where /proc is hidden', { skip }, async (t) => {
  const { daemon, host } = await startHidden(t);
  await host.disk('create', 'vm1', '--size', '8M');

  // Client A is this process. Client B is another one.
  const first = await daemon.attach('vm1');
  t.equal((await first.write(0, block)).error, 0, 'A writes');
  const again = await daemon.attach('vm1');
  t.equal((await again.write(0, block)).error, 0, 'A writes on a new connection: it reconnected');
  t.same((await host.status('vm1')).fences, []);
  const other = await QemuIo.attach(t, host, 'vm1');
  t.match(await other.do('write -P 0x42 0 4k'), /^wrote 4096/, 'B writes');
  t.equal((await again.write(0, block)).error, failed, 'A is stopped');
  again.bytes.destroy();
  const anew = await daemon.attach('vm1');
  t.equal((await anew.write(0, block)).error, failed, 'A stays out on a new connection');
  t.match(await other.do('write -P 0x43 4k 4k'), /^wrote 4096/, 'B writes on');
  t.match((await host.status('vm1')).fences, [{ client: RegExp(`\\b${process.pid}\\b`) }]);
  t.match(((await daemon.status()) as unknown as DaemonStatus).warnings, [{ code: 'ERR_CLIENTS_HIDDEN' }]);
  await until('the daemon has said at its start', () => daemon.stderr.includes('"code":"ERR_CLIENTS_HIDDEN"'));

  await host.restart();
  const late = await daemon.attach('vm1');
  t.equal((await late.write(0, block)).error, failed, 'A does not write after a restart');
  t.match(await other.do('write -P 0x44 8k 4k'), /Input\/output error/, 'nor does B, which could be A');
  await host.disk('take', 'vm1');
  t.match(await other.do('write -P 0x44 8k 4k'), /^wrote 4096/, 'B writes once an operator has said so');
  t.match(await other.do('read -P 0x42 0 4k'), /^read 4096/, 'and nothing of A lies over what it wrote');
});

t.test('a client goes on after a restart where /proc is hidden and nobody was displaced', { skip }, async (t) => {
  const { host } = await startHidden(t);
  await host.disk('create', 'vm1', '--size', '8M');
  const guest = await QemuIo.attach(t, host, 'vm1');
  t.match(await guest.do('write -P 0x51 0 4k'), /^wrote 4096/);
  await host.restart();
  t.match(await guest.do('write -P 0x52 4k 4k'), /^wrote 4096/);
  t.same((await host.status('vm1')).fences, []);
  const late = await host.daemon.attach('vm1');
  t.equal((await late.write(0, block)).error, 0, 'another client displaces it');
  t.match(await guest.do('write -P 0x53 0 4k'), /Input\/output error/);
});

t.test('clients of another pid namespace are told apart', { skip: skip || (isLinux(6, 9) ? false : 'needs Linux 6.9') }, async (t) => {
  const place = {
    command: (program: string, args: readonly string[]) => ({
      command: 'unshare',
      args: ['--pid', '--fork', '--kill-child', program, ...args],
    }),
  };
  const host = DiskHost.of(await Daemon.start(t, { images: {}, place }));
  await host.disk('create', 'vm1', '--size', '8M');
  const first = await host.daemon.attach('vm1');
  t.equal((await first.write(0, block)).error, 0);
  const other = await QemuIo.attach(t, host, 'vm1');
  t.match(await other.do('write -P 0x42 0 4k'), /^wrote 4096/);
  const anew = await host.daemon.attach('vm1');
  t.equal((await anew.write(0, block)).error, failed, 'the one that was displaced stays out');
  t.match(await other.do('write -P 0x43 4k 4k'), /^wrote 4096/);
  t.match((await host.status('vm1')).fences, [{ client: /^pidfd:i\d+:/ }]);
});
