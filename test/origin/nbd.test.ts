import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, open, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';
import type { RangeSink } from '../../src/block/sink.js';
import { type OriginOptions, openOrigin, pinOrigin } from '../../src/origin/open.js';
import type { Origin } from '../../src/origin/origin.js';
import { withRetry } from '../../src/origin/retry.js';
import { bufferSink } from '../../src/origin/sink.js';
import { type NbdProgram, nbdkit, qemuNbd } from './nbd-program.js';

const MiB = 1024 * 1024;
const nowhere: RangeSink = { data: () => {}, zeroes: () => {} };
const data = randomBytes(MiB);

/** Short, for the sake of unix sockets' paths. */
async function scratchDir(t: { teardown(callback: () => Promise<void>): unknown }): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'copse-'));
  t.teardown(() => rm(dir, { recursive: true }));
  return dir;
}

/** 300 MiB with 1 MiB of data at 0 and at 200 MiB. */
async function sparseFile(dir: string): Promise<string> {
  const path = join(dir, 'sparse.raw');
  const handle = await open(path, 'w');
  await handle.truncate(300 * MiB);
  await handle.write(data, 0, MiB, 0);
  await handle.write(data, 0, MiB, 200 * MiB);
  await handle.close();
  return path;
}

async function pinned(server: NbdProgram, options: OriginOptions = {}): Promise<Origin> {
  return openOrigin(server.url, await pinOrigin(server.url), options);
}

async function expectSparse(
  t: { equal(found: unknown, wanted: unknown, message: string): unknown },
  origin: Origin,
  most = Number.POSITIVE_INFINITY,
): Promise<void> {
  let dataBytes = 0;
  for (const [offset, lengthBytes] of [
    [0, 2 * MiB],
    [12_345, 2 * MiB],
    [127 * MiB, 2 * MiB],
    [200 * MiB - 511, MiB],
    [300 * MiB - 1, 1],
  ] as const) {
    const target = Buffer.alloc(lengthBytes, 'x');
    const sink = bufferSink(target);
    await origin.read(offset, lengthBytes, {
      data: (piece) => {
        dataBytes += piece.length;
        sink.data(piece);
      },
      zeroes: (bytes) => sink.zeroes(bytes),
    });
    const expected = Buffer.alloc(lengthBytes);
    for (const start of [0, 200 * MiB]) {
      const from = Math.max(offset, start);
      const to = Math.min(offset + lengthBytes, start + MiB);
      if (to > from) data.copy(expected, from - offset, from - start, to - start);
    }
    t.equal(target.equals(expected), true, `${lengthBytes} at ${offset}`);
  }
  t.equal(dataBytes <= most, true, `${dataBytes} bytes were transferred`);
}

t.test('nbdkit: zeros are not asked for', async (t) => {
  const dir = await scratchDir(t);
  const log = join(dir, 'log');
  const server = await nbdkit(join(dir, 's'), '--filter=log', 'file', await sparseFile(dir), `logfile=${log}`);
  t.teardown(() => server.stop());
  const origin = await pinned(server);
  t.teardown(() => origin.close());
  await expectSparse(t, origin, 3.1 * MiB);
  const lines = readFileSync(log, 'utf8').split('\n');
  t.equal(lines.filter((line) => / Extents /.test(line) && /\.\.\./.test(line)).length <= 3, true, 'block status comes in large steps');
  t.notMatch(lines.filter((line) => / Read /.test(line)).join('\n'), /offset=0x7f00000/);
});

t.test('nbdkit: without structured replies, in blocks of 4 KiB at least and 64 KiB at most', async (t) => {
  const dir = await scratchDir(t);
  const policy = ['blocksize-minimum=4096', 'blocksize-preferred=4096', 'blocksize-maximum=64K', 'blocksize-error-policy=error'];
  const server = await nbdkit(join(dir, 's'), '--filter=blocksize-policy', 'file', await sparseFile(dir), ...policy);
  const simple = await nbdkit(join(dir, 'simple'), '--no-sr', 'file', join(dir, 'sparse.raw'));
  t.teardown(() => Promise.all([server.stop(), simple.stop()]));
  for (const program of [server, simple]) {
    const origin = await pinned(program);
    await expectSparse(t, origin);
    await origin.close();
  }
});

t.test('qemu-nbd: a qcow2, its zeros untransferred', async (t) => {
  const dir = await scratchDir(t);
  const path = join(dir, 'image.qcow2');
  await execa('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', await sparseFile(dir), path]);
  const server = await qemuNbd(join(dir, 's'), '--read-only', '--format=qcow2', path);
  t.teardown(() => server.stop());
  const origin = await pinned(server);
  t.teardown(() => origin.close());
  t.same(origin.identity, { kind: 'nbd', sizeBytes: 300 * MiB });
  await expectSparse(t, origin, 3.2 * MiB);
});

t.test('a server that dies is connected to again when it is back; another size is a change', async (t) => {
  const dir = await scratchDir(t);
  const path = await sparseFile(dir);
  let server = await nbdkit(join(dir, 's'), 'file', path);
  t.teardown(() => server.stop());
  const origin = await pinned(server);
  t.teardown(() => origin.close());
  await origin.read(0, 4096, nowhere);
  await server.stop();
  await t.rejects(origin.read(0, 4096, nowhere), { code: 'ERR_ORIGIN_UNAVAILABLE' });
  const keepAlive = setInterval(() => {}, 1000);
  const waiting = withRetry(origin).read(0, 4096, nowhere);
  server = await nbdkit(join(dir, 's'), 'file', path);
  await waiting;
  clearInterval(keepAlive);
  await server.stop();
  await truncate(path, 200 * MiB);
  server = await nbdkit(join(dir, 's'), 'file', path);
  await t.rejects(origin.read(0, 4096, nowhere), { code: 'ERR_ORIGIN_CHANGED' });
  await t.rejects(openOrigin(server.url, { kind: 'nbd', sizeBytes: 5 }).read(0, 5, nowhere), { code: 'ERR_ORIGIN_CHANGED' });
});

t.test('errors of the server, a server that hangs, a read that is given up', async (t) => {
  const dir = await scratchDir(t);
  await writeFile(join(dir, 'raw'), data);
  const failing = await nbdkit(
    join(dir, 'failing'),
    '--filter=error',
    'file',
    join(dir, 'raw'),
    'error-pread=EIO',
    'error-pread-rate=100%',
  );
  const slow = await nbdkit(join(dir, 'slow'), '--filter=delay', 'file', join(dir, 'raw'), 'delay-read=60');
  t.teardown(() => Promise.all([failing.stop(), slow.stop()]));
  const broken = await pinned(failing);
  t.teardown(() => broken.close());
  await t.rejects(broken.read(0, 4096, nowhere), { code: 'ERR_ORIGIN_UNAVAILABLE' });
  const hanging = await pinned(slow, { idleTimeoutMs: 200 });
  t.teardown(() => hanging.close());
  const keepAlive = setInterval(() => {}, 1000);
  await t.rejects(hanging.read(0, 4096, nowhere), { code: 'ERR_ORIGIN_UNAVAILABLE' });
  clearInterval(keepAlive);
  const controller = new AbortController();
  setImmediate(() => controller.abort());
  await t.rejects(hanging.read(0, 4096, nowhere, { signal: controller.signal }), { code: 'ERR_ABORTED' });
  await hanging.close();
  await t.rejects(hanging.read(0, 4096, nowhere), { code: 'ERR_CLOSED' });
});

t.test("an error of the sink is the read's own and no one else's", async (t) => {
  const dir = await scratchDir(t);
  await writeFile(join(dir, 'raw'), data);
  const server = await nbdkit(join(dir, 's'), 'file', join(dir, 'raw'));
  t.teardown(() => server.stop());
  const origin = await pinned(server);
  t.teardown(() => origin.close());
  const full = Object.assign(new Error('full'), { code: 'ENOSPC' });
  const sink: RangeSink = {
    data: () => {
      throw full;
    },
    zeroes: () => {},
  };
  const [failed, fine] = await Promise.allSettled([origin.read(0, 4096, sink), origin.read(4096, 4096, nowhere)]);
  t.equal(failed.status === 'rejected' ? failed.reason : undefined, full);
  t.equal(fine.status, 'fulfilled');
});

t.test('an export that is not there is refused', async (t) => {
  const dir = await scratchDir(t);
  await writeFile(join(dir, 'raw'), data);
  const server = await qemuNbd(join(dir, 's'), '--read-only', '--format=raw', '--export-name=there', join(dir, 'raw'));
  t.teardown(() => server.stop());
  await t.rejects(pinOrigin(server.url.replace('///', '///elsewhere')), { code: 'ERR_ORIGIN_REFUSED' });
  t.same(await pinOrigin(server.url.replace('///', '///there')), { kind: 'nbd', sizeBytes: MiB });
});
