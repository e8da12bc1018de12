import { randomBytes } from 'node:crypto';
import { constants, truncateSync } from 'node:fs';
import { open, readFile, rename, stat, truncate, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';
import { digestOf } from '../../src/base/digest.js';
import type { RangeSink } from '../../src/block/sink.js';
import { FileOrigin, pinFile } from '../../src/origin/file/file.js';
import { openOrigin, pinOrigin } from '../../src/origin/open.js';
import { bufferSink } from '../../src/origin/sink.js';

const MiB = 1024 * 1024;

/** Changed last long ago: times of files advance in steps, and what is changed within one looks unchanged. */
async function age(path: string): Promise<void> {
  await utimes(path, new Date(), new Date(Date.now() - 60_000));
}

async function pinnedFile(dir: string, content: Buffer): Promise<{ path: string; origin: FileOrigin }> {
  const path = join(dir, 'image.raw');
  await writeFile(path, content);
  await age(path);
  const identity = await pinOrigin(path);
  if (identity.kind !== 'file') throw new Error('pinned as something else');
  return { path, origin: new FileOrigin(path, identity, { pathCheckMs: 0 }) };
}

const nowhere: RangeSink = { data: () => {}, zeroes: () => {} };

t.test('any range of a file, many at once', async (t) => {
  const content = randomBytes(3 * MiB + 123);
  const { path, origin } = await pinnedFile(t.testdir(), content);
  t.teardown(() => origin.close());
  const ranges = [
    [0, content.length],
    [1, 1],
    [content.length - 1, 1],
    [262_143, 2],
    [1000, MiB],
    [5, 0],
  ] as const;
  await Promise.all(
    ranges.map(async ([offset, lengthBytes]) => {
      const target = Buffer.alloc(lengthBytes);
      await origin.read(offset, lengthBytes, bufferSink(target));
      t.ok(target.equals(content.subarray(offset, offset + lengthBytes)), `${lengthBytes} at ${offset}`);
    }),
  );
  const byUrl = openOrigin(`file://${path}`, origin.identity);
  const target = Buffer.alloc(100);
  await byUrl.read(50, 100, bufferSink(target));
  t.ok(target.equals(content.subarray(50, 150)));
  await byUrl.close();
  await t.rejects(byUrl.read(0, 1, nowhere), { code: 'ERR_CLOSED' });
});

t.test('holes are told and not read', async (t) => {
  const path = join(t.testdir(), 'sparse.raw');
  const data = randomBytes(65_536);
  const handle = await open(path, constants.O_RDWR | constants.O_CREAT);
  await handle.truncate(64 * MiB);
  await handle.write(data, 0, data.length, 32 * MiB);
  await handle.close();
  const origin = openOrigin(path, await pinOrigin(path));
  t.teardown(() => origin.close());
  const seen: [string, number][] = [];
  let bytes = Buffer.alloc(0);
  await origin.read(MiB, 63 * MiB, {
    data: (piece) => {
      seen.push(['data', piece.length]);
      bytes = Buffer.concat([bytes, piece]);
    },
    zeroes: (lengthBytes) => seen.push(['zeroes', lengthBytes]),
  });
  t.same(seen, [
    ['zeroes', 31 * MiB],
    ['data', 65_536],
    ['zeroes', 32 * MiB - 65_536],
  ]);
  t.ok(bytes.equals(data));
});

t.test('where it is asked for, the digest of the whole file is in the pin: copies have the same', async (t) => {
  const dir = t.testdir();
  const paths = [join(dir, 'a.raw'), join(dir, 'b.raw')];
  const data = randomBytes(5 * MiB + 77);
  for (const path of paths) {
    const handle = await open(path, constants.O_RDWR | constants.O_CREAT);
    await handle.truncate(11 * MiB);
    await handle.write(data, 0, data.length, 3 * MiB);
    await handle.close();
  }
  const progress: number[] = [];
  const [first, second] = await Promise.all(
    paths.map((path) => pinFile(path, { digest: true, onDigestProgress: (doneBytes) => progress.push(doneBytes) })),
  );
  t.equal(first?.digest, digestOf(await readFile(paths[0] ?? '')));
  t.equal(first?.digest, second?.digest);
  t.equal(Math.max(...progress), 11 * MiB);
  t.equal((await pinFile(paths[0] ?? '')).digest, undefined);
  if (first === undefined) return;
  const origin = openOrigin(paths[0] ?? '', first);
  t.teardown(() => origin.close());
  await origin.read(0, 11 * MiB, nowhere);
  const abort = new AbortController();
  await t.rejects(pinFile(paths[0] ?? '', { digest: true, signal: abort.signal, onDigestProgress: () => abort.abort() }), {
    code: 'ERR_ABORTED',
  });
});

t.test(
  'a copy takes the place of a file that was pinned with its digest; another file does not, and is read but once to tell',
  async (t) => {
    const dir = t.testdir();
    const [path, next] = [join(dir, 'a.raw'), join(dir, 'b.raw')];
    const [data, others] = [randomBytes(MiB), randomBytes(MiB)];
    await writeFile(path, data);
    await age(path);
    const origin = new FileOrigin(path, await pinFile(path, { digest: true }), { pathCheckMs: 0 });
    t.teardown(() => origin.close());
    const read = async (): Promise<Buffer> => {
      const target = Buffer.alloc(1000);
      await origin.read(5000, 1000, bufferSink(target));
      return target;
    };
    const replace = async (bytes: Buffer): Promise<void> => {
      await writeFile(next, bytes);
      await rename(next, path);
      // Who has the old file open is told once.
      await t.rejects(read(), { code: 'ERR_ORIGIN_CHANGED' });
    };
    await read();
    await replace(data);
    t.ok((await read()).equals(data.subarray(5000, 6000)));
    await replace(others);
    await t.rejects(read(), { code: 'ERR_ORIGIN_CHANGED' });
    await t.rejects(read(), { code: 'ERR_ORIGIN_CHANGED' });
    await writeFile(next, data);
    await rename(next, path);
    t.ok((await read()).equals(data.subarray(5000, 6000)), 'it is back');
  },
);

t.test('of sealed content any file of its size is read; what is replaced while it is open is opened anew', async (t) => {
  const dir = t.testdir();
  const [path, next] = [join(dir, 'a.raw'), join(dir, 'b.raw')];
  const data = randomBytes(MiB);
  await writeFile(path, data);
  const pin = { ...(await pinFile(path)), inode: '1', mtimeNs: '1' };
  const origin = new FileOrigin(path, pin, { pathCheckMs: 0, sealed: true });
  t.teardown(() => origin.close());
  const target = Buffer.alloc(1000);
  await origin.read(5000, 1000, bufferSink(target));
  t.ok(target.equals(data.subarray(5000, 6000)));
  await writeFile(next, data);
  await rename(next, path);
  await t.rejects(origin.read(0, 1000, nowhere), { code: 'ERR_ORIGIN_UNAVAILABLE' }, 'worth another try');
  await origin.read(0, 1000, nowhere);
  await truncate(path, MiB - 1);
  await t.rejects(origin.read(0, 1000, nowhere), { code: 'ERR_ORIGIN_UNAVAILABLE' });
  await t.rejects(origin.read(0, 1000, nowhere), { code: 'ERR_ORIGIN_CHANGED' });
});

t.test('a file that is written to while it is digested is not pinned', async (t) => {
  const path = join(t.testdir(), 'a.raw');
  await writeFile(path, randomBytes(9 * MiB));
  const pinning = pinFile(path, { digest: true, onDigestProgress: () => truncateSync(path, 9 * MiB - 1) });
  await t.rejects(pinning, { code: 'ERR_ORIGIN_CHANGED' });
});

t.test('a file that changes under us is never mixed', async (t) => {
  for (const [name, change] of Object.entries({
    truncated: (path: string) => truncate(path, 1000),
    'written to': async (path: string) => {
      const handle = await open(path, 'r+');
      await handle.write('x', 5);
      await handle.close();
      await utimes(path, new Date(), new Date(Date.now() + 5000));
    },
    replaced: async (path: string) => {
      await writeFile(`${path}.new`, randomBytes(MiB));
      await rename(`${path}.new`, path);
    },
  })) {
    const { path, origin } = await pinnedFile(t.testdir(), randomBytes(MiB));
    await origin.read(0, 4096, nowhere);
    await change(path);
    let deliveredBytes = 0;
    const sink: RangeSink = { data: (piece) => (deliveredBytes += piece.length), zeroes: (lengthBytes) => (deliveredBytes += lengthBytes) };
    await t.rejects(origin.read(0, MiB, sink), { code: 'ERR_ORIGIN_CHANGED' }, name);
    await t.rejects(origin.read(0, MiB, sink), { code: 'ERR_ORIGIN_CHANGED' }, `${name}, opened anew`);
    t.equal(deliveredBytes, 0);
    await origin.close();
  }
});

t.test('a file that grows a hole where data was is changed, not zeros', async (t) => {
  const { path, origin } = await pinnedFile(t.testdir(), randomBytes(MiB));
  t.teardown(() => origin.close());
  await origin.read(0, 4096, nowhere);
  await execa('fallocate', ['--punch-hole', '--offset', '0', '--length', '65536', path]);
  await t.rejects(origin.read(0, MiB, nowhere), { code: 'ERR_ORIGIN_CHANGED' });
});

t.test('a file that is gone and comes back', async (t) => {
  const { path, origin } = await pinnedFile(t.testdir(), randomBytes(4096));
  t.teardown(() => origin.close());
  await origin.read(0, 4096, nowhere);
  await rename(path, `${path}.away`);
  await t.rejects(origin.read(0, 4096, nowhere), { code: 'ERR_ORIGIN_REFUSED' });
  await rename(`${path}.away`, path);
  await origin.read(0, 4096, nowhere);
});

t.test('what is no image is refused, and a FIFO keeps nobody waiting', async (t) => {
  const dir = t.testdir({ empty: '' });
  await execa('mkfifo', [join(dir, 'fifo')]);
  for (const path of [dir, join(dir, 'none'), join(dir, 'fifo'), join(dir, 'empty'), '/dev/null', 'relative.raw', 'file:relative.raw']) {
    await t.rejects(pinOrigin(path), { code: 'ERR_ORIGIN_REFUSED' }, path);
  }
});

t.test('a block device is pinned by number and size', async (t) => {
  const path = join(t.testdir(), 'disk.raw');
  const content = randomBytes(4 * MiB);
  await writeFile(path, content);
  const loop = await execa('losetup', ['--find', '--show', '--read-only', path], { reject: false });
  if (loop.failed) {
    t.pass('a loop device', { skip: `no loop device: ${loop.stderr}` });
    return;
  }
  const device = loop.stdout;
  try {
    const origin = openOrigin(device, await pinOrigin(device));
    t.equal(origin.sizeBytes, 4 * MiB);
    t.match(origin.identity, { inode: `device ${(await stat(device)).rdev}` });
    const target = Buffer.alloc(MiB);
    await origin.read(MiB - 7, MiB, bufferSink(target));
    t.ok(target.equals(content.subarray(MiB - 7, 2 * MiB - 7)));
    await origin.close();
  } finally {
    await execa('losetup', ['--detach', device]);
    await unlink(path);
  }
});

t.test('a read that is given up', async (t) => {
  const { origin } = await pinnedFile(t.testdir(), randomBytes(8 * MiB));
  t.teardown(() => origin.close());
  const controller = new AbortController();
  const sink: RangeSink = { data: () => controller.abort(), zeroes: () => {} };
  await t.rejects(origin.read(0, 8 * MiB, sink, { signal: controller.signal }), { code: 'ERR_ABORTED' });
  await origin.read(0, 4096, nowhere);
});

t.test('an error of the sink is the error of the read', async (t) => {
  const { origin } = await pinnedFile(t.testdir(), randomBytes(4096));
  t.teardown(() => origin.close());
  const full = Object.assign(new Error('full'), { code: 'ENOSPC' });
  const sink: RangeSink = {
    data: () => {
      throw full;
    },
    zeroes: () => {},
  };
  await t.rejects(origin.read(0, 4096, sink), full);
  await origin.read(0, 4096, nowhere);
});
