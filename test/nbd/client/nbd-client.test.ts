import { randomBytes } from 'node:crypto';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { describeExport, listExports } from '../../../src/nbd/client/handshake.js';
import { NbdClient } from '../../../src/nbd/client/nbd-client.js';
import { TransmissionFlag } from '../../../src/nbd/codec/constant.js';
import { formatNbdUri } from '../../../src/nbd/codec/uri.js';
import { Assembly } from './assembly.js';
import { startNbdkit, startQemuNbd } from './server-process.js';

const MiB = 2 ** 20;

async function read(client: NbdClient, offset: number, lengthBytes: number, df = false): Promise<Assembly> {
  const assembly = new Assembly(offset, lengthBytes);
  await client.read(offset, lengthBytes, assembly, { df });
  return assembly;
}

t.test('nbdkit memory: everything that can be written can be read', async (t) => {
  const server = await startNbdkit('memory', '64M');
  t.teardown(server.stop);
  for (const replies of ['simple', 'structured', 'extended'] as const) {
    const client = await NbdClient.connect({ path: server.path }, { replies, contexts: ['base:allocation', 'x-copse:cached'] });
    t.equal(client.replies, replies === 'simple' ? 'simple' : 'structured', 'nbdkit has no extended headers');
    t.equal(client.sizeBytes, 64 * MiB);
    t.same([...client.contexts.keys()], replies === 'simple' ? [] : ['base:allocation'], 'what is not granted is missing');
    const content = randomBytes(300_000);
    await client.write(content, 1_000_001, { fua: true });
    t.ok((await read(client, 1_000_001, content.length)).content.equals(content));
    await client.writeZeroes(1_100_000, 5000);
    content.fill(0, 99_999, 104_999);
    t.ok((await read(client, 1_000_001, content.length)).content.equals(content));
    await client.trim(0, 64 * MiB);
    await client.flush();
    await client.cache(0, 4096);
    t.ok((await read(client, 1_000_000, 4096)).content.equals(Buffer.alloc(4096)));
    await client.disconnect();
    await client.closed;
    await t.rejects(client.flush(), { code: 'ERR_CLOSED' });
  }
});

t.test('longer than a payload may be: split and put together', async (t) => {
  const server = await startNbdkit('memory', '128M');
  t.teardown(server.stop);
  const client = await NbdClient.connect({ path: server.path });
  const content = Buffer.concat(Array.from({ length: 71 }, () => randomBytes(MiB)));
  await client.write(content, 12_345);
  const assembly = await read(client, 12_345, content.length);
  t.ok(assembly.content.equals(content));
  t.equal(assembly.dataBytes, content.length);
  await client.disconnect();
});

t.test('many at once, more than the window', async (t) => {
  const server = await startNbdkit('--filter=delay', 'pattern', '1G', 'rdelay=2ms');
  t.teardown(server.stop);
  const client = await NbdClient.connect({ path: server.path }, { maxInFlight: 16 });
  t.ok((client.transmissionFlags & TransmissionFlag.READ_ONLY) !== 0);
  const offsets = Array.from({ length: 500 }, (_, index) => index * 2 * MiB + 8);
  const all = await Promise.all(offsets.map((offset) => read(client, offset, 16)));
  for (const [index, { content }] of all.entries()) t.equal(content.readBigUInt64BE(), BigInt(offsets[index] ?? 0));
  await client.disconnect();
});

t.test('refused at this edge', async (t) => {
  const server = await startNbdkit('pattern', '1M');
  t.teardown(server.stop);
  const client = await NbdClient.connect({ path: server.path });
  for (const [offset, lengthBytes] of [
    [0, MiB + 1],
    [MiB, 1],
    [-1, 1],
    [0.5, 1],
    [0, Number.POSITIVE_INFINITY],
  ] as const) {
    await t.rejects(client.read(offset, lengthBytes, new Assembly(0, 0)), { code: 'EINVAL' });
  }
  await t.rejects(client.write(Buffer.alloc(1), 0), { code: 'EPERM' });
  await t.rejects(client.trim(0, 1), { code: 'EPERM' });
  await t.rejects(client.blockStatus(0, 1), { code: 'ENOTSUP' });
  t.equal((await read(client, MiB, 0)).dataBytes, 0, 'nothing of nothing');
  await client.disconnect();
});

t.test("a server's errors end one request, not the connection", async (t) => {
  const server = await startNbdkit('--filter=error', 'memory', '16M', 'error-pwrite=ENOSPC', 'error-pread=EIO', 'error-pread-rate=50%');
  t.teardown(server.stop);
  for (const replies of ['simple', 'structured'] as const) {
    const client = await NbdClient.connect({ path: server.path }, { replies });
    const results = await Promise.allSettled(Array.from({ length: 100 }, (_, index) => read(client, index * 4096, 4096)));
    const codes = new Set(results.map((result) => (result.status === 'fulfilled' ? 'ok' : result.reason.code)));
    t.same([...codes].sort(), ['EIO', 'ok']);
    await client.disconnect();
  }
});

t.test('qemu-nbd: holes and block status of a sparse file', async (t) => {
  const path = join(t.testdir(), 'sparse');
  await writeFile(path, randomBytes(MiB));
  await truncate(path, 8 * MiB);
  const server = await startQemuNbd('--format=raw', '--export-name=disk', '--description=a sparse one', path);
  t.teardown(server.stop);
  const uri = formatNbdUri({ address: { path: server.path }, exportName: 'disk' });
  const client = await NbdClient.connect(uri, { contexts: ['base:allocation'] });
  t.equal(client.exportName, 'disk');
  t.equal(client.replies, 'structured');
  t.equal(client.description, 'a sparse one');
  const extents = (await client.blockStatus(0, 8 * MiB)).get('base:allocation');
  t.same(extents, [
    { lengthBytes: MiB, flags: 0 },
    { lengthBytes: 7 * MiB, flags: 3 },
  ]);
  t.same((await client.blockStatus(MiB - 512, 1024, { one: true })).get('base:allocation'), [{ lengthBytes: 512, flags: 0 }]);
  t.same((await client.blockStatus(2 * MiB, 512)).get('base:allocation'), [{ lengthBytes: 512, flags: 3 }], 'no farther than asked');
  const holes = await read(client, 0, 8 * MiB);
  t.equal(holes.zeroBytes, 7 * MiB, 'zeros are not transferred');
  t.equal(holes.dataBytes, MiB);
  t.equal((await read(client, 0, 2 * MiB, true)).zeroBytes, 0, 'nor fragmented when forbidden');
  await client.writeZeroes(0, 65536, { noHole: true, fua: true });
  t.ok((await read(client, 0, 65536)).content.equals(Buffer.alloc(65536)));
  await client.disconnect();

  t.same(await listExports({ path: server.path }), [{ name: 'disk', description: 'a sparse one' }]);
  t.match(await describeExport(uri), { sizeBytes: 8 * MiB, exportName: 'disk' });
  const unknown = { code: 'ERR_NBD_UNKNOWN_EXPORT' };
  await t.rejects(NbdClient.connect({ path: server.path }, { exportName: 'none' }), unknown);
  await t.rejects(describeExport({ path: server.path }, { exportName: 'none' }), unknown);
});

t.test('nbdkit sparse-random: data and holes together are the content', async (t) => {
  const server = await startNbdkit('sparse-random', '32M', 'seed=7', 'percent=30');
  t.teardown(server.stop);
  const plain = await NbdClient.connect({ path: server.path }, { replies: 'simple' });
  const client = await NbdClient.connect({ path: server.path }, { contexts: ['base:allocation'] });
  const expected = (await read(plain, 0, 32 * MiB)).content;
  t.ok((await read(client, 0, 32 * MiB)).content.equals(expected));
  for (let offset = 0; offset < 32 * MiB; ) {
    const extents = (await client.blockStatus(offset, 32 * MiB - offset)).get('base:allocation') ?? [];
    t.ok(extents.length > 0);
    for (const { lengthBytes, flags } of extents) {
      const zero = expected.subarray(offset, offset + lengthBytes).every((byte) => byte === 0);
      if ((flags & 2) !== 0 && !zero) t.fail(`data at ${offset} told to be zero`);
      offset += lengthBytes;
    }
  }
  await Promise.all([plain.disconnect(), client.disconnect()]);
});

t.test('old servers', async (t) => {
  const newstyle = await startNbdkit('--mask-handshake=0', 'pattern', '1M');
  t.teardown(newstyle.stop);
  const client = await NbdClient.connect({ path: newstyle.path });
  t.equal(client.replies, 'simple');
  t.equal((await read(client, 4096, 8)).content.readBigUInt64BE(), 4096n);
  await client.disconnect();
  await t.rejects(listExports({ path: newstyle.path }), { code: 'ERR_NBD_REFUSED' });
  const oldstyle = await startNbdkit('--oldstyle', 'pattern', '1M');
  t.teardown(oldstyle.stop);
  await t.rejects(NbdClient.connect({ path: oldstyle.path }), { code: 'ERR_NBD_PROTOCOL' });
});

t.test('nobody there, a server that dies, a wait that is given up', async (t) => {
  await t.rejects(NbdClient.connect({ path: join(t.testdir(), 'none') }), { code: 'ERR_NBD_DISCONNECTED' });
  const server = await startNbdkit('--filter=delay', 'memory', '1M', 'rdelay=60');
  t.teardown(server.stop);
  const client = await NbdClient.connect({ path: server.path }, { maxInFlight: 1 });
  const waiting = read(client, 0, 4096);
  const inLine = read(client, 0, 4096);
  const controller = new AbortController();
  const given = client.read(0, 4096, new Assembly(0, 4096), { signal: controller.signal });
  controller.abort();
  await t.rejects(given, { code: 'ERR_ABORTED' });
  await t.rejects(NbdClient.connect({ path: server.path }, { signal: controller.signal }), { code: 'ERR_ABORTED' });
  const dead = [t.rejects(waiting, { code: 'ERR_NBD_DISCONNECTED' }), t.rejects(inLine, { code: 'ERR_NBD_DISCONNECTED' })];
  await server.stop();
  await Promise.all(dead);
  await client.closed;
  t.match(client.failure, { code: 'ERR_NBD_DISCONNECTED' });
  await client.disconnect();
});
