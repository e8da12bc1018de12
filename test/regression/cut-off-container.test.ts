/**
 * What broke: a qcow2 file that was cut in half, or to its first 3000 bytes, was added without a word and served as a disk of zeros.
 * QEMU reads zeros beyond the end of a file.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';
import { Daemon } from '../fault/daemon.js';
import { writeContent } from '../origin/format-fixture.js';

t.test('a container that is cut off is neither added nor imported', async (t) => {
  const daemon = await Daemon.start(t, { images: {} });
  const folder = t.testdir();
  const { path } = await writeContent(folder);
  for (const format of ['qcow2', 'vmdk', 'vdi']) {
    const whole = join(folder, `whole.${format}`);
    await execa('qemu-img', ['convert', '-f', 'raw', '-O', format, path, whole]);
    const bytes = readFileSync(whole);
    const cut = join(folder, `cut.${format}`);
    writeFileSync(cut, bytes.subarray(0, bytes.length / 2));

    const added = await daemon.copse('image', 'add', `cut-${format}`, cut);
    t.equal(added.exitCode, 1, `${format}: ${added.stderr}`);
    t.match(added.stderr, /cut off/, format);
    const imported = await daemon.copse('disk', 'import', `cut-${format}`, cut);
    t.not(imported.exitCode, 0, `${format}: import`);
    t.match(imported.stderr, /cut off/, `${format}: import`);

    const fine = await daemon.copse('image', 'add', `whole-${format}`, whole, '--json');
    t.equal(fine.exitCode, 0, `${format}: ${fine.stderr}`);
    t.equal(JSON.parse(fine.stdout).container, 'whole', format);
  }
  const start = join(folder, 'start.qcow2');
  writeFileSync(start, readFileSync(join(folder, 'whole.qcow2')).subarray(0, 3000));
  t.match((await daemon.copse('image', 'add', 'start', start)).stderr, /cut off/, 'the first 3000 bytes');
  t.match((await daemon.copse('disk', 'import', 'start', start)).stderr, /cut off/, 'the first 3000 bytes, imported');
  t.same(JSON.parse((await daemon.copse('disk', 'ls', '--json')).stdout), [], 'no disk is left behind');
});

t.test('what was too large to be looked at is said, and --deep looks', async (t) => {
  const daemon = await Daemon.start(t, { images: {} });
  const path = join(t.testdir(), 'large.qed');
  await execa('qemu-img', ['create', '-q', '-f', 'qed', path, '1T']);
  const writes = Array.from({ length: 200 }, (_, index) => ['-c', `write -P 1 ${index * 4}G 4k`]).flat();
  await execa('qemu-io', ['-f', 'qed', ...writes, path]);
  t.equal((await daemon.copse('image', 'add', 'large', path)).exitCode, 0);
  t.match((await daemon.copse('image', 'status', 'large')).stdout, /^file +its tables are not checked/m);
  const deep = await daemon.copse('image', 'add', 'large', path, '--deep');
  t.equal(deep.exitCode, 0, deep.stderr);
  t.match((await daemon.copse('image', 'status', 'large')).stdout, /^file +has all bytes that its tables name/m);
});
