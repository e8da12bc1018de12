/**
 * Broke: `format` was written without a sync. A power cut soon after the first start left it empty, and no daemon
 * started on the state directory any more, with flushed disks in it.
 *
 * The power cut is a copy of the block device below a mounted file system: what the kernel had not written is missing.
 */
import { copyFileSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import t, { type Test } from 'tap';
import { pattern } from '../conformance/content.js';
import { Cmd } from '../conformance/wire/constant.js';
import { DiskHost, imageName } from '../fault/disk-host.js';
import { mountSkip } from '../fault/disk-mount.js';
import { shortDir } from '../support/short-dir.js';

const mebibyte = 1024 * 1024;
const skip = await mountSkip();

/** Unmounted with the test. */
async function mounted(t: Test, image: string): Promise<string> {
  const path = shortDir(t);
  await execa('mount', ['-o', 'loop', image, path]);
  t.teardown(() => execa('umount', ['--lazy', path]));
  return path;
}

async function newFileSystem(t: Test, make: [string, ...string[]], sizeBytes: number): Promise<{ image: string; path: string }> {
  const image = join(shortDir(t), 'image');
  writeFileSync(image, '');
  truncateSync(image, sizeBytes);
  const [program, ...args] = make;
  await execa(program, [...args, image]);
  const path = await mounted(t, image);
  await execa('sync', ['--file-system', path]);
  return { image, path };
}

/** What a power cut at this moment leaves, mounted. */
async function afterPowerCut(t: Test, image: string): Promise<string> {
  const copy = join(shortDir(t), 'copy');
  copyFileSync(image, copy);
  return mounted(t, copy);
}

const base = pattern(256 * 1024, 5);

t.test('a power cut at any step of a first start leaves a state that the next daemon serves', { skip }, async (t) => {
  const { image, path } = await newFileSystem(t, ['mkfs.ext4', '-q', '-F'], 32 * mebibyte);
  const state = join(path, 'var', 'copse');
  const host = await DiskHost.start(t, { image: base, state, cacheSize: '4M' });
  const atReady = await afterPowerCut(t, image);
  await host.disk('create', 'vm1', '--image', imageName);
  const session = await host.daemon.attach('vm1');
  const written = pattern(8192, 6);
  t.equal((await session.write(4096, written)).error, 0);
  t.equal((await session.do({ type: Cmd.flush })).error, 0);
  const afterFlush = await afterPowerCut(t, image);
  session.bytes.destroy();
  await host.detached('vm1');
  await host.disk('promote', 'vm1', 'golden');
  const afterPromotion = await afterPowerCut(t, image);

  for (const [what, mount] of [
    ['ready', atReady],
    ['the first flush', afterFlush],
    ['a promotion', afterPromotion],
  ] as const) {
    const found = join(mount, 'var', 'copse');
    t.equal(readFileSync(join(found, 'format'), 'utf8'), 'copse-state 1\n', `format after ${what}`);
    if (mount === atReady) continue;
    const next = await DiskHost.start(t, { image: host.imagePath, state: found, cacheSize: '4M' });
    const reader = await next.daemon.attach('vm1');
    t.ok((await reader.read(4096, 8192)).data.equals(written), `the disk after ${what}`);
    if (mount !== afterPromotion) continue;
    const golden = await next.daemon.attach('golden');
    t.ok((await golden.read(4096, 8192)).data.equals(written), 'the promoted image');
  }
});

t.test('a state that such a power cut left is repaired, and said so; a strange one is refused', { skip }, async (t) => {
  const state = join(shortDir(t), 'state');
  const host = await DiskHost.start(t, { image: base, state });
  await host.disk('create', 'vm1', '--size', '1M');
  await host.daemon.stop();
  writeFileSync(join(state, 'format'), '');
  mkdirSync(join(state, 'layer'));
  const exit = await host.daemon.launch();
  t.equal(exit?.code, 1, 'something is there that this version does not know');
  t.match(host.daemon.stderr, /layer is not of version/);
  await execa('rmdir', [join(state, 'layer')]);
  await host.daemon.start();
  t.match(host.daemon.stderr, /power cut soon after the first start/);
  t.match(await host.status('vm1'), { place: 'owner' });
});
