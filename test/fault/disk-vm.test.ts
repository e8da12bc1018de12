/**
 * The demo's Debian lives on a disk: installs, is killed, boots again; its daemon is killed, its host's disk fills up, it moves to another QEMU, it goes back to a snapshot.
 *
 * One story in three boots, because a boot without KVM is dear.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import t, { type Test } from 'tap';
import { DigestBuilder } from '../../src/base/digest.js';
import { reflinkDisk, smallDisk } from '../disk/folder/mount.js';
import { missing } from '../interop/serving.js';
import { until } from '../support/wait.js';
import { debianImage, Guest, startWithShell } from './disk-guest.js';
import { DiskHost, imageName } from './disk-host.js';

// The first run on a machine builds the guest's image: a minute, on a slow and busy one several.
t.setTimeout(1_200_000);

const mebibyte = 1024 * 1024;
const skip = await missing('qemu-system-x86_64', '--version');

/** A file system that a guest can fill: XFS where it can be had, whose snapshots need no copy; else a tmpfs. */
async function stateDisk(t: Test): Promise<{ path: string; hasReflinks: boolean } | { skip: string }> {
  const xfs = await reflinkDisk(t, 'xfs');
  if ('path' in xfs) return { ...xfs, hasReflinks: true };
  const tmpfs = await smallDisk(t, 320 * mebibyte);
  return 'path' in tmpfs ? { ...tmpfs, hasReflinks: false } : tmpfs;
}

async function digestOf(path: string): Promise<string> {
  const digest = new DigestBuilder();
  for await (const piece of createReadStream(path, { highWaterMark: mebibyte })) digest.update(piece as Buffer);
  return digest.digest();
}

/** SHA-256 of what `seq 1 COUNT` prints. */
function sequence(count: number): string {
  const hash = createHash('sha256');
  for (let from = 1; from <= count; from += 10_000) {
    const to = Math.min(count, from + 9999);
    hash.update(`${Array.from({ length: to - from + 1 }, (_, index) => from + index).join('\n')}\n`);
  }
  return hash.digest('hex');
}

/** Digests of files in the guest, from its disk and not from its memory. */
async function digests(guest: Guest, files: string): Promise<string> {
  await guest.sh('sync; echo 3 > /proc/sys/vm/drop_caches');
  return await guest.sh(`find ${files} -type f | sort | xargs sha256sum | sha256sum`);
}

const pack = `
mkdir -p /tmp/p/DEBIAN /tmp/p/usr/share/copse-test
printf 'Package: copse-test\\nVersion: 1.0\\nArchitecture: all\\nMaintainer: none\\nDescription: a test\\n' > /tmp/p/DEBIAN/control
seq 1 30000 > /tmp/p/usr/share/copse-test/numbers
dpkg-deb --build -Znone /tmp/p /tmp/p.deb && dpkg -i /tmp/p.deb
`.trim();

/** Writes so many files, each synced before it says so. */
const writer = (name: string, count: number): string =>
  `(for i in $(seq 1 ${count}); do seq 1 "$i"00 > /opt/${name}-$i && sync /opt/${name}-$i && echo ${name} $i written || exit 1; done) && echo ${name} "is through"`;

t.test('a virtual machine on a disk', { skip }, async (t) => {
  const place = await stateDisk(t);
  if ('skip' in place) {
    t.pass('nothing was tried', { skip: place.skip });
    return;
  }
  const image = await debianImage();
  const imageDigest = await digestOf(image);
  const state = join(place.path, 'state');
  const host = await DiskHost.start(t, { image, state, cacheSize: '16M' });
  await host.disk('create', 'vm1', '--image', imageName, '--size', '1G');
  await startWithShell(t, host, 'vm1');

  t.comment('the first boot: installing, and a daemon that is killed below it');
  let guest = await Guest.start(t, host, 'vm1');
  await guest.booted();
  await guest.sh(pack);
  await guest.sh('cp -a /etc /opt/etc; seq 1 200000 > /opt/numbers');
  for (const [name, end] of [
    ['one', () => host.crash()],
    ['two', () => host.restart()],
  ] as const) {
    const writing = guest.run(writer(name, 30));
    await until('the guest writes', () => guest.console.includes(`${name} 5 written`));
    await end();
    t.match(await writing.done, RegExp(`${name} is through`), 'the guest wrote on');
  }
  t.equal(await guest.state(), 'running');
  t.notMatch(await guest.sh('dmesg'), /I\/O error|EXT4-fs error/, 'the guest saw no error');
  const installed = await digests(guest, '/opt /usr/share/copse-test');
  await guest.kill();
  await host.disk('snapshot', 'vm1', 'installed');

  t.comment('the second boot: all is there');
  await host.crash();
  guest = await Guest.start(t, host, 'vm1');
  await guest.booted();
  t.equal(await digests(guest, '/opt /usr/share/copse-test'), installed, 'what it wrote before it was killed');
  t.match(await guest.sh('dpkg -s copse-test; dpkg -V copse-test'), /install ok installed/);
  t.match(await guest.sh('sha256sum < /opt/numbers'), sequence(200_000), 'and as the host counts it');

  t.comment("the host's disk fills up");
  const filler = join(place.path, 'filler');
  const { bavail, bsize } = await statfs(place.path);
  await execa('fallocate', ['--length', String(bavail * bsize - 4 * mebibyte), filler]);
  const filling = guest.run('seq 1 6000000 > /opt/big && sync && echo big "is through"');
  await until('the guest is paused', async () => (await guest.state()) === 'io-error');
  const devices = (await guest.qmp.execute('query-block')) as { 'io-status'?: string }[];
  t.equal(devices.find((device) => device['io-status'] !== undefined)?.['io-status'], 'nospace', 'QEMU knows why');
  // Room for the start of a daemon, far from enough for what the guest waits to write.
  await execa('truncate', ['--size=-512K', filler]);
  await host.crash();
  t.equal(await guest.state(), 'io-error', 'it waits, also for a daemon that was killed meanwhile');
  await rm(filler);
  await guest.qmp.execute('cont');
  t.match(await filling.done, /big is through/, 'with space again it goes on');
  t.match(await guest.sh('echo 3 > /proc/sys/vm/drop_caches; sha256sum < /opt/big'), sequence(6_000_000), 'nothing of it was lost');
  t.notMatch(await guest.sh('dmesg'), /I\/O error|EXT4-fs error/, 'the guest saw no error');
  await guest.sh('rm /opt/big; sync');

  const live = await host.daemon.copse('disk', 'snapshot', 'vm1', 'live');
  if (place.hasReflinks) t.equal(live.exitCode, 0, `a snapshot under the guest: ${live.stderr}`);
  else t.equal(live.exitCode, 5, 'a snapshot that has to copy is refused under the guest');

  t.comment('it moves to another QEMU on this host');
  const incoming = join(host.daemon.folder, 'incoming');
  const next = await Guest.start(t, host, 'vm1', { incoming });
  guest.run(writer('three', 60));
  await until('the guest writes', () => guest.console.includes('three 5 written'));
  // An emulated guest that runs while QEMU looks which pages were written to can be lost: test/migration/vm.ts, `sendTo`.
  await guest.qmp.execute('stop');
  await guest.qmp.execute('migrate', { uri: `unix:${incoming}` });
  await until('the migration', async () => {
    const { status } = (await guest.qmp.execute('query-migrate')) as { status?: string };
    if (status === 'failed') throw new Error('the migration failed');
    return status === 'completed';
  });
  guest.handTo(next);
  await until('it has arrived', async () => (await next.state()) === 'paused');
  await next.qmp.execute('cont');
  await until('the guest goes on', () => {
    if (next.console.includes('Kernel panic'))
      throw new Error(`the guest panics after its migration:\n${next.console.slice(-6000)}\n${host.daemon.stderr}`);
    return next.console.includes('three is through');
  });
  t.equal(await next.state(), 'running');
  await guest.kill();
  t.equal(await digests(next, '/opt/etc /opt/one-* /opt/two-* /opt/numbers /usr/share/copse-test'), installed, 'all of it is there');
  await next.sh('(for i in $(seq 1 60); do seq 1 "$i"00 | cmp - /opt/three-$i || exit 1; done)');
  t.notMatch(await next.sh('dmesg'), /I\/O error|EXT4-fs error/, 'the guest saw no error');
  await next.kill();

  t.comment('back to the snapshot; the third boot');
  await host.disk('revert', 'vm1', 'installed');
  guest = await Guest.start(t, host, 'vm1');
  await guest.booted();
  t.equal(await digests(guest, '/opt /usr/share/copse-test'), installed, 'exactly what there was');
  await guest.kill();

  t.equal(await digestOf(image), imageDigest, 'and the image is as it was');
});
