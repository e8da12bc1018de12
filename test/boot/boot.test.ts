/**
 * A guest boots in QEMU on a disk of Copse, without root and without KVM.
 *
 * The guest's kernel is in dist/guest, where set-up puts it. The guest's whole userland is an
 * initrd with busybox, which the test makes. The guest reads an image and a disk through Copse,
 * writes to the disk, and says the digests of what it saw. The host compares these with the image,
 * and then reads the disk itself.
 */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import t, { type Test } from 'tap';
import { DiskHost, imageName } from '../fault/disk-host.js';
import { missing } from '../interop/serving.js';
import { differences } from '../support/differences.js';
import { shortDir } from '../support/short-dir.js';

const MiB = 1024 * 1024;
const imageBytes = 6 * MiB;
/** Part of the disk that the guest writes. */
const written = { from: 1 * MiB, end: 3 * MiB };
/** Deadline of the guest, in ms: many times what the slowest boot was seen to take. */
const bootMs = 300_000;
const kernelDir = fileURLToPath(new URL('../../guest/', import.meta.url));

t.setTimeout(bootMs + 60_000);

/** Swaps two MiB of the disk, and says the digests of what it read before and after. */
const init = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
for module in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk; do
  [ ! -e /modules/$module.ko ] || insmod /modules/$module.ko
done
until [ -b /dev/vda ] && [ -b /dev/vdb ]; do sleep 0.05; done
say() { echo "GUEST $*"; }
say image $(sha256sum /dev/vda)
say before $(sha256sum /dev/vdb)
dd if=/dev/vda bs=64k skip=16 count=16 of=/dev/vdb seek=32 conv=fsync 2>/dev/null || say failed
dd if=/dev/vda bs=64k skip=32 count=16 of=/dev/vdb seek=16 conv=fsync 2>/dev/null || say failed
echo 3 >/proc/sys/vm/drop_caches
say after $(sha256sum /dev/vdb)
poweroff -f
`;

/** An initrd with busybox, the modules of the kernel and the init above. */
async function buildInitrd(t: Test): Promise<string> {
  const dir = shortDir(t);
  const root = join(dir, 'root');
  for (const name of ['bin', 'dev', 'proc', 'modules']) await mkdir(join(root, name), { recursive: true });
  await copyFile((await execa('sh', ['-c', 'command -v busybox'])).stdout, join(root, 'bin/busybox'));
  for (const name of await readdir(kernelDir)) {
    if (name.endsWith('.ko')) await copyFile(join(kernelDir, name), join(root, 'modules', name));
  }
  await writeFile(join(root, 'init'), init);
  await chmod(join(root, 'init'), 0o755);
  const path = join(dir, 'initrd');
  await execa('sh', ['-c', 'find . | cpio -o -H newc --quiet >"$0"', path], { cwd: root });
  return path;
}

/** Boots the guest until it powers off, and returns all that it said on its console. */
async function boot(host: DiskHost, initrd: string): Promise<string> {
  const block = (name: string, exportName: string, isReadOnly: boolean): string[] => {
    const server = { type: 'unix', path: host.daemon.socketPath };
    const node = { driver: 'nbd', 'node-name': name, server, export: exportName, 'read-only': isReadOnly };
    return ['-blockdev', JSON.stringify(node), '-device', `virtio-blk-pci,drive=${name}`];
  };
  const args = ['-accel', 'tcg', '-cpu', 'qemu64,-svm', '-machine', 'q35', '-m', '128', '-smp', '1'];
  args.push('-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-serial', 'stdio');
  args.push('-kernel', join(kernelDir, 'vmlinuz'), '-initrd', initrd);
  args.push('-append', 'console=ttyS0 mitigations=off cryptomgr.notests audit=0 8250.nr_uarts=1 no_timer_check nokaslr panic=-1');
  args.push(...block('image', imageName, true), ...block('disk', 'vm1', false));
  const { stdout } = await execa('qemu-system-x86_64', args, { timeout: bootMs, killSignal: 'SIGKILL', stdin: 'ignore' });
  return stdout;
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

const skip =
  (existsSync(join(kernelDir, 'vmlinuz')) ? false : 'dist/guest has no kernel: .ci/setup test makes it where Debian has one for amd64') ||
  (await missing('qemu-system-x86_64', '--version')) ||
  (await missing('busybox', '--help'));

t.test('a guest reads an image and writes a disk', { skip }, async (t) => {
  const image = randomBytes(imageBytes);
  const host = await DiskHost.start(t, { image });
  await host.disk('create', 'vm1', '--image', imageName);
  const swapped = Buffer.concat([
    image.subarray(0, written.from),
    image.subarray(written.from + MiB, written.end),
    image.subarray(written.from, written.from + MiB),
    image.subarray(written.end),
  ]);

  const console = await boot(host, await buildInitrd(t));
  const said = (word: string): string | undefined => new RegExp(`GUEST ${word} ([0-9a-f]{64})`).exec(console)?.[1];
  if (!t.notMatch(console, /GUEST failed|Kernel panic|I\/O error/)) t.comment(console.slice(-4000));
  t.equal(said('image'), sha256(image), 'the image, as the guest read it');
  t.equal(said('before'), sha256(image), 'the disk as it began: what the image has');
  t.equal(said('after'), sha256(swapped), 'the disk as the guest left it');

  await host.crash();
  const session = await host.daemon.attach('vm1');
  t.same(await differences(session, swapped), [], 'the host reads what the guest wrote, after kill -9 of the daemon');
  session.bytes.destroy();
  t.ok((await readFile(host.imagePath)).equals(image), 'and the image is as it was');
});
