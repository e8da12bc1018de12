import { open, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import t, { type Test } from 'tap';
import { errorCode } from '../../src/base/error.js';
import { checkImageFile } from '../../src/origin/format/check-file.js';
import { checkReach } from '../../src/origin/format/guard/reach/reach.js';
import { contentBytes, makeImage, qemuImg, shortDirectory, writeContent } from './format-fixture.js';

/** Formats of qemu-img, and how it is to write them. */
const subjects: [format: string, options: string, flags?: string[]][] = [
  ['qcow2', ''],
  ['qcow2', 'compat=0.10'],
  ['qcow2', '', ['-c']],
  ['qcow2', 'compression_type=zstd', ['-c']],
  ['qcow2', 'cluster_size=512'],
  ['qcow2', 'cluster_size=2M'],
  ['qcow2', 'extended_l2=on,cluster_size=128k'],
  ['qcow2', 'refcount_bits=1'],
  ['qcow2', 'refcount_bits=64'],
  ['qcow2', 'lazy_refcounts=on'],
  ['qcow2', 'preallocation=metadata'],
  ['qcow2', 'preallocation=full'],
  ['qcow', ''],
  ['qed', ''],
  ['qed', 'cluster_size=4096'],
  ['vdi', ''],
  ['vdi', 'static=on'],
  ['parallels', ''],
  ['vpc', 'subformat=dynamic'],
  ['vpc', 'subformat=fixed,force_size=on'],
  ['vhdx', 'subformat=dynamic,block_size=1M'],
  ['vhdx', 'subformat=fixed'],
  ['vmdk', 'subformat=monolithicSparse'],
  ['vmdk', 'subformat=streamOptimized'],
];

const label = (format: string, options: string, flags: string[] = []): string => [format, options, ...flags].join(' ').trim();

/** A file with the first bytes of another. */
async function head(path: string, sizeBytes: number): Promise<string> {
  const cut = `${path}.cut`;
  await writeFile(cut, await readFile(path));
  await truncate(cut, sizeBytes);
  return cut;
}

/** What QEMU makes of a file; `undefined` when it refuses it. */
async function decoded(path: string, format: string): Promise<Buffer | undefined> {
  const target = `${path}.raw`;
  const { exitCode } = await execa('qemu-img', ['convert', '-f', format, '-O', 'raw', path, target], { reject: false });
  return exitCode === 0 ? readFile(target) : undefined;
}

async function isCutOff(path: string, format: string): Promise<boolean> {
  try {
    await checkImageFile(path, format);
    return false;
  } catch (error) {
    if (errorCode(error) !== 'ERR_FORMAT') throw error;
    return true;
  }
}

for (const [format, options, flags] of subjects) {
  t.test(`whole, and cut anywhere: ${label(format, options, flags)}`, async (t) => {
    const directory = await shortDirectory(t);
    const { path: content } = await writeContent(directory);
    const path = await makeImage(directory, content, format, options, flags);
    t.notOk(await isCutOff(path, format), 'the whole file passes');
    const { size } = await stat(path);
    const wanted = (await decoded(path, format)) ?? Buffer.alloc(0);
    t.ok(wanted.subarray(0, 8 * 1024 * 1024).equals(contentBytes()), 'QEMU decodes the whole file to the content');
    for (const cutBytes of [3000, Math.floor(size / 4), Math.floor(size / 2), Math.floor((size * 3) / 4)]) {
      const cut = await head(path, cutBytes);
      if (await isCutOff(cut, format)) continue;
      const got = await decoded(cut, format);
      t.ok(got === undefined || got.equals(wanted), `${cutBytes} of ${size} bytes passed, and QEMU decodes them to something else`);
    }
  });
}

/** A disk that a guest wrote, not one that was converted: clusters in the order of its writes. */
async function written(t: Test, format: string, commands: string[]): Promise<string> {
  const directory = await shortDirectory(t);
  const path = join(directory, `written.${format}`);
  await qemuImg('create', '-q', '-f', format, path, '64M');
  await execa('qemu-io', ['-f', format, ...commands.flatMap((command) => ['-c', command]), path]);
  return path;
}

t.test('disks that guests wrote pass, and are caught when cut in half', async (t) => {
  const commands = ['write -P 1 63M 4k', 'write -P 2 1M 512', 'write -P 3 32M 70k', 'write -P 4 5000000 100'];
  for (const format of ['qcow2', 'qcow', 'qed', 'vdi', 'parallels', 'vpc', 'vhdx', 'vmdk']) {
    const path = await written(t, format, commands);
    t.notOk(await isCutOff(path, format), `${format}: whole`);
    t.ok(await isCutOff(await head(path, Math.floor((await stat(path)).size / 2)), format), `${format}: half of it`);
  }
});

t.test('internal snapshots and clusters that a crash left counted', async (t) => {
  const path = await written(t, 'qcow2', ['write -P 1 0 1M']);
  await qemuImg('snapshot', '-c', 'before', path);
  await execa('qemu-io', ['-f', 'qcow2', '-c', 'write -P 2 0 2M', path]);
  t.notOk(await isCutOff(path, 'qcow2'), 'a snapshot');

  // A refcount beyond the end of the file, of a cluster that nothing maps.
  const file = await open(path, 'r+');
  const header = Buffer.alloc(64);
  await file.read(header, 0, 64, 0);
  const tableOffset = Number(header.readBigUInt64BE(48));
  const block = Buffer.alloc(8);
  await file.read(block, 0, 8, tableOffset);
  await file.write(Buffer.from([0, 1]), 0, 2, Number(block.readBigUInt64BE(0)) + 2 * 1000);
  await file.close();
  t.notOk(await isCutOff(path, 'qcow2'), 'a cluster that is counted and not mapped');
  t.ok(await isCutOff(await head(path, 1024 * 1024), 'qcow2'), 'and cut');
});

t.test('tables that cost more than an operator waits for are told as unchecked', async (t) => {
  const directory = await shortDirectory(t);
  const path = join(directory, 'large.qed');
  await qemuImg('create', '-q', '-f', 'qed', path, '1T');
  const writes = Array.from({ length: 200 }, (_, index) => ['-c', `write -P 1 ${index * 4}G 4k`]).flat();
  await execa('qemu-io', ['-f', 'qed', ...writes, path]);
  const file = await open(path);
  t.teardown(() => file.close());
  const subject = {
    url: path,
    sizeBytes: (await file.stat()).size,
    async read(offset: number, lengthBytes: number) {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(lengthBytes), 0, lengthBytes, offset);
      return buffer.subarray(0, bytesRead);
    },
  };
  t.equal(await checkReach('qed', subject, false), 'unchecked', 'by default');
  t.equal(await checkReach('qed', subject, true), 'whole', 'deep');
  await t.rejects(checkReach('qed', { ...subject, sizeBytes: subject.sizeBytes - 65536 }, true), { code: 'ERR_FORMAT' }, 'deep, and cut');
});

t.test('mutated headers and tables are refused or passed, within the budget, and nothing else', async (t) => {
  const directory = await shortDirectory(t);
  const { path: content } = await writeContent(directory);
  let state = 7;
  const next = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (const [format, options] of subjects.filter(([, , flags]) => flags === undefined)) {
    const original = await readFile(await makeImage(directory, content, format, options));
    for (let round = 0; round < 60; round += 1) {
      const bytes = Buffer.from(original);
      const fieldCount = 1 + next(6);
      for (let field = 0; field < fieldCount; field += 1) {
        // Most of what matters lies in the first bytes of the header and of the tables.
        const base = [0, 0, 65536, 131072, 196608, 262144, 512, 1024][next(8)] ?? 0;
        const at = Math.min(base + next(120), bytes.length - 1);
        bytes[at] = [0, 1, 0x7f, 0x80, 0xff, next(256)][next(6)] ?? 0;
      }
      let readBytes = 0;
      const subject = {
        url: 'mutated',
        sizeBytes: bytes.length,
        async read(offset: number, lengthBytes: number) {
          if (!Number.isSafeInteger(offset) || offset < 0 || lengthBytes > 1024 * 1024) throw new Error(`read ${lengthBytes} at ${offset}`);
          readBytes += lengthBytes;
          return bytes.subarray(offset, offset + lengthBytes);
        },
      };
      try {
        await checkReach(format, subject, false);
      } catch (error) {
        if (errorCode(error) !== 'ERR_FORMAT') t.fail(`${label(format, options)}, round ${round}: ${String(error)}`);
      }
      if (readBytes > 34 * 1024 * 1024) t.fail(`${label(format, options)}, round ${round}: read ${readBytes} bytes`);
    }
  }
  t.pass('all rounds ended');
});
