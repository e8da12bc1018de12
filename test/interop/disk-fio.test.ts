/** fio's nbd engine on a disk of the real daemon: unaligned writes of mixed sizes and trims, verified at once, after a restart, and after kill -9. */
import { execa } from 'execa';
import t, { type Test } from 'tap';
import { pattern } from '../conformance/content.js';
import { DiskHost, imageName } from '../fault/disk-host.js';
import { missing } from './serving.js';

const mebibyte = 1024 * 1024;
const engines = await execa('fio', ['--enghelp'], { reject: false });
const skip = (await missing('fio', '--version')) || (/\bnbd\b/.test(String(engines.stdout)) ? false : 'this fio has no nbd engine');

interface FioJob {
  error: number;
  read: { total_ios: number };
  write: { total_ios: number };
  trim: { total_ios: number };
}

interface FioRun {
  exitCode: number | undefined;
  job: FioJob;
  said: string;
}

async function fio(t: Test, host: DiskHost, options: readonly string[]): Promise<FioRun> {
  const fixed = ['--name=verify', '--ioengine=nbd', `--uri=${host.uri('vm1')}`, `--aux-path=${host.daemon.folder}`, '--output-format=json'];
  const verify = ['--verify=crc32c', '--verify_fatal=1', '--verify_state_save=0', '--randseed=11'];
  const { exitCode, stdout, stderr } = await execa('fio', [...fixed, ...verify, ...options], { reject: false });
  const text = String(stdout);
  const { jobs } = JSON.parse(text.slice(text.indexOf('{\n')));
  t.ok(jobs[0], 'fio has run');
  return { exitCode, job: jobs[0], said: `${stderr}${text.slice(0, text.indexOf('{\n'))}` };
}

// Bytes, not sectors: what fio writes begins and ends in the middle of the overlay's blocks, over the image and beyond its end.
const unaligned = ['--rw=randwrite', '--bsrange=777-70001', '--bs_unaligned', '--offset=1001', '--size=32M', '--iodepth=8'];

t.test('fio verifies what it wrote', { skip }, async (t) => {
  const host = await DiskHost.start(t, { image: pattern(20 * mebibyte + 12_345, 31) });
  const untouched = await host.imageDigest();
  await host.disk('create', 'vm1', '--image', imageName, '--size', '64M');

  for (const [name, options] of [
    ['mixed sizes at any byte, depth 8', [...unaligned, '--io_size=12M']],
    ['blocks of 3 KiB that overlap, aligned to 512', ['--rw=randwrite', '--bs=3k', '--blockalign=512', '--size=16M', '--io_size=4M']],
    [
      'sizes of 512 bytes to 128 KiB with flushes, depth 16',
      ['--rw=randwrite', '--bsrange=512-128k', '--size=24M', '--iodepth=16', '--fsync=32'],
    ],
    // At a greater depth fio sends a trim and the write of the same block together, and nobody promises their order.
    ['writes and trims of mixed sizes, depth 1', ['--rw=randtrimwrite', '--bsrange=4k-64k', '--size=24M', '--io_size=12M']],
  ] as const) {
    const { exitCode, job, said } = await fio(t, host, [...options, '--do_verify=1']);
    t.equal(exitCode, 0, `${name}: ${said}`);
    t.equal(job.error, 0);
    t.ok(job.write.total_ios > 50, `${job.write.total_ios} writes`);
    if (name.includes('trims')) t.ok(job.trim.total_ios > 50, `${job.trim.total_ios} trims`);
    else t.ok(job.read.total_ios > 50, `${job.read.total_ios} reads to verify`);
  }
  t.equal(await host.imageDigest(), untouched, 'the image is as it was');
});

t.test('what fio wrote and flushed is there after a restart and after kill -9', { skip }, async (t) => {
  const host = await DiskHost.start(t, { image: pattern(20 * mebibyte + 12_345, 32) });
  await host.disk('create', 'vm1', '--image', imageName, '--size', '64M');
  const again = async (when: string): Promise<void> => {
    const { exitCode, job, said } = await fio(t, host, [...unaligned, '--verify_only']);
    t.equal(exitCode, 0, `${when}: ${said}`);
    t.ok(job.read.total_ios > 500, `${when}: ${job.read.total_ios} blocks are as written`);
  };
  const { exitCode, said } = await fio(t, host, [...unaligned, '--do_verify=0', '--end_fsync=1']);
  t.equal(exitCode, 0, said);
  await host.crash();
  await again('after kill -9');
  await host.restart();
  await again('after a restart');

  // And it would tell: a single byte that is not fio's.
  const session = await host.daemon.attach('vm1');
  const { data } = await session.read(9 * mebibyte, 1);
  t.equal((await session.write(9 * mebibyte, Buffer.from([data.readUInt8(0) ^ 1]))).error, 0);
  t.not((await fio(t, host, [...unaligned, '--verify_only'])).exitCode, 0, 'a byte that was changed is found');
});
