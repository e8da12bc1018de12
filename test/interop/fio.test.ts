/** fio's nbd engine writes and verifies with checksums: the write path under load, in depth, over several jobs. */
import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';
import { missing, run, serving } from './serving.js';

const { folder, subject, unixUri } = await serving(t);
const engines = await execa('fio', ['--enghelp'], { reject: false });
const skip = (await missing('fio', '--version')) || (/\bnbd\b/.test(String(engines.stdout)) ? false : 'this fio has no nbd engine');

for (const [name, options] of [
  ['mixed sizes at depth 32', ['--rw=randwrite', '--bsrange=512-128k', '--iodepth=32']],
  // At a greater depth fio sends a trim and the write of the same block together, and nobody promises their order.
  ['4 KiB at depth 1 with trims', ['--rw=randtrimwrite', '--bs=4k', '--iodepth=1', '--io_size=4M']],
  ['sequential 1 MiB at depth 4 with flushes', ['--rw=write', '--bs=1M', '--iodepth=4', '--fsync=4']],
] as const) {
  t.test(`fio verifies what it wrote: ${name}`, { skip }, async (t) => {
    const { stdout } = await run(t, 'fio', [
      '--name=verify',
      '--ioengine=nbd',
      `--uri=${unixUri(subject.file.name)}`,
      '--size=32M',
      '--verify=crc32c',
      '--verify_fatal=1',
      '--do_verify=1',
      '--output-format=json',
      `--aux-path=${folder}`,
      '--verify_state_save=0',
      ...options,
    ]);
    const json = stdout;
    const { jobs } = JSON.parse(json.slice(json.indexOf('{')));
    t.equal(jobs[0].error, 0);
    t.ok(jobs[0].write.total_ios > 0);
    t.ok(jobs[0].read.total_ios > 0 || name.includes('trims'), 'and verified by reading');
  });
}

t.test('fio reads the image randomly from four jobs', { skip }, async (t) => {
  const { stdout } = await run(t, 'fio', [
    '--name=read',
    '--ioengine=nbd',
    `--uri=${unixUri(subject.image.name)}`,
    '--rw=randread',
    '--bs=4k',
    '--size=3M',
    '--iodepth=16',
    '--numjobs=4',
    '--group_reporting',
    '--output-format=json',
    `--aux-path=${join(folder)}`,
  ]);
  const json = stdout;
  t.equal(JSON.parse(json.slice(json.indexOf('{'))).jobs[0].error, 0);
});
