/** ext4 by the kernel, over a disk: what was synced is there after the daemon was killed under the file system, which then mounts, and is clean. */
import { createHash } from 'node:crypto';
import { open, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';
import { pattern } from '../conformance/content.js';
import { DiskHost, imageName } from './disk-host.js';
import { AttachedDisk, mountSkip } from './disk-mount.js';

const mebibyte = 1024 * 1024;
const skip = await mountSkip();

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Writes a file and has it on the disk, its folder too. */
async function writeSynced(folder: string, name: string, bytes: Buffer): Promise<void> {
  const file = await open(join(folder, name), 'w');
  await file.writeFile(bytes);
  await file.sync();
  await file.close();
  const parent = await open(folder, 'r');
  await parent.sync();
  await parent.close();
}

t.test('mkfs, files, sync, kill -9: all files are there, and fsck finds nothing', { skip }, async (t) => {
  // An image of noise: whatever the overlay failed to cover shows.
  const host = await DiskHost.start(t, { image: pattern(24 * mebibyte, 53) });
  const untouched = await host.imageDigest();
  await host.disk('create', 'vm1', '--image', imageName, '--size', '96M');

  const attach = () => AttachedDisk.attach(t, host.daemon.folder, host.uri('vm1'));
  let attached = await attach();
  await execa('mkfs.ext4', ['-q', '-F', await attached.device()]);
  const expected = new Map<string, string>();

  for (const round of [1, 2]) {
    await attached.mount();
    for (let index = 0; index < 12; index += 1) {
      const name = `file-${round}-${index}`;
      const bytes = pattern(1 + index * 37_777, round * 100 + index);
      expected.set(name, digest(bytes));
      await writeSynced(attached.mountPath, name, bytes);
    }
    // Not synced: some of it may be there, and none of it may harm anything else.
    for (let index = 0; index < 8; index += 1) {
      await writeFile(join(attached.mountPath, `unsynced-${round}-${index}`), pattern(mebibyte, round));
    }
    await host.daemon.kill();
    await attached.detach();
    await host.daemon.start();

    attached = await attach();
    // Replays the journal, as any mount after a power cut.
    await attached.mount();
    const found = new Map<string, string>();
    for (const name of expected.keys()) found.set(name, digest(await readFile(join(attached.mountPath, name))));
    t.same(found, expected, `every synced file is there after kill ${round}`);
    t.ok((await readdir(attached.mountPath)).length >= expected.size);
    await execa('umount', [attached.mountPath]);
    const { exitCode, stdout, stderr } = await execa('e2fsck', ['-f', '-n', await attached.device()], { reject: false });
    t.equal(exitCode, 0, `e2fsck after kill ${round}: ${stdout}${stderr}`);
  }
  t.equal(await host.imageDigest(), untouched, 'the image is as it was');
});

t.test('fstrim gives the space of deleted files back', { skip }, async (t) => {
  const host = await DiskHost.start(t, { image: Buffer.alloc(4096) });
  await host.disk('create', 'vm1', '--size', '128M');
  const attached = await AttachedDisk.attach(t, host.daemon.folder, host.uri('vm1'));
  await execa('mkfs.ext4', ['-q', '-F', '-E', 'nodiscard,lazy_itable_init=0', await attached.device()]);
  await attached.mount();
  await writeSynced(attached.mountPath, 'large', pattern(48 * mebibyte, 5));
  const full = await host.allocatedBytes('vm1');
  t.ok(full >= 48 * mebibyte, `${full} bytes with the file`);
  await execa('rm', [join(attached.mountPath, 'large')]);
  await execa('sync', ['--file-system', attached.mountPath]);
  await execa('fstrim', [attached.mountPath]);
  await execa('sync', ['--file-system', attached.mountPath]);
  await execa('umount', [attached.mountPath]);
  await execa('blockdev', ['--flushbufs', await attached.device()]);
  const session = await host.daemon.attach('vm1');
  t.equal((await session.do({ type: 3 })).error, 0, 'a flush');
  const freed = full - (await host.allocatedBytes('vm1'));
  t.ok(freed >= 46 * mebibyte, `${freed} bytes are free again`);
});
