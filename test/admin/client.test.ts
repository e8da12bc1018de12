import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { AdminClient } from '../../src/admin/client.js';
import { CopseError } from '../../src/base/error.js';
import { silentLogger } from '../../src/base/log.js';
import { shortDir } from '../support/short-dir.js';
import { FakeControl } from './fake-control.js';
import { createAdminServer } from './serve.js';

async function pair(test: Test) {
  const control = new FakeControl();
  await control.images.add({ name: 'debian/12', url: 'http://o/d.raw' });
  const server = createAdminServer(control, { log: silentLogger });
  const address = await server.listen({ kind: 'unix', path: join(shortDir(test), 'a.sock') });
  const client = new AdminClient(address);
  test.teardown(async () => {
    await client.close();
    await server.close();
  });
  return { control, server, client, address };
}

t.test('the client is the control behind the server', async (t) => {
  const { control, client } = await pair(t);
  t.same(await client.node.status(), await control.node.status());
  t.same(await client.images.list(), await control.images.list());
  t.same(await client.images.status('debian/12'), await control.images.status('debian/12'));
  const request = {
    name: 'b',
    url: '/x.qcow2',
    format: 'qcow2',
    chunkSizeBytes: 65536,
    deadlineMs: 0,
    backing: { 'base.qcow2': 'debian/12' },
  };
  t.same(await client.images.add(request), await control.images.status('b'));
  t.same(control.images.added.at(-1), request);
  await client.images.add({ name: 'c', url: 'http://o', format: undefined });
  t.same(await client.images.repin('b'), await control.images.status('b'));
  await client.images.remove('b');
  t.notOk(control.images.known.has('b'));
  t.equal(await client.node.metrics(), await control.node.metrics());

  const sealed = { name: 's', url: '/s.raw', manifest: '/s.manifest', digest: `blake3:${'0'.repeat(64)}`, share: 'never' } as const;
  await client.images.add(sealed);
  t.same(control.images.added.at(-1), sealed);
  t.same(await client.node.explain('debian/12'), await control.node.explain('debian/12'));
  t.same(await client.cluster.status(), await control.cluster.status());
  t.same(await client.cluster.imageStatus('debian/12'), await control.cluster.imageStatus('debian/12'));
  t.same(await client.cluster.move('rack-9'), await control.cluster.move('rack-9'));
});

t.test('errors keep their codes', async (t) => {
  const { control, client } = await pair(t);
  await t.rejects(client.images.status('none'), { code: 'ERR_NO_SUCH_IMAGE' });
  await t.rejects(client.images.status('..'), { code: 'ERR_NO_SUCH_IMAGE' });
  control.failure = new CopseError('ERR_FORMAT', 'not that');
  await t.rejects(client.images.add({ name: 'x', url: 'http://o' }), { code: 'ERR_FORMAT', message: 'not that' });
});

t.test('jobs', async (t) => {
  const { control, client } = await pair(t);
  const seen: number[] = [];
  const { signal } = new AbortController();
  const result = await client.images.warm('debian/12', { signal, onProgress: ({ doneBytes }) => seen.push(doneBytes) });
  t.same(result, { doneBytes: 1073741824, totalBytes: 1073741824, fetchedBytes: 805306368 });
  t.equal(seen[0], 0);
  t.same(await client.images.verify('debian/12', { signal, onProgress() {} }), {
    doneBytes: 1073741824,
    totalBytes: 1073741824,
    droppedBytes: 0,
  });

  t.equal(control.images.warmedCluster, false);
  await client.images.warm('debian/12', { signal, onProgress() {}, cluster: true });
  t.equal(control.images.warmedCluster, true);
  t.match(await client.images.seal('debian/12', { signal, onProgress() {} }), { manifestPath: /debian/, digest: /^blake3:/ });
  t.match(await client.node.drain({ signal, onProgress() {} }), { doneBytes: 3 * 2 ** 30, safe: true, lastCopiesLeft: 0 });
  t.ok(control.node.isDraining);
  await client.node.undrain();
  t.notOk(control.node.isDraining);

  await t.rejects(client.images.warm('none', { signal, onProgress() {} }), { code: 'ERR_NO_SUCH_IMAGE' });
  control.jobFailure = new CopseError('ERR_ORIGIN_UNAVAILABLE', 'gone');
  await t.rejects(client.images.warm('debian/12', { signal, onProgress() {} }), { code: 'ERR_ORIGIN_UNAVAILABLE' });
});

t.test('a job is over when its answer is, not at its last line', async (t) => {
  let end = (): void => {};
  const server = createServer((_request, response) => {
    end = () => response.end();
    const progress = '{"type":"progress","doneBytes":0,"totalBytes":1}\n';
    response.write(`${progress}{"type":"result","doneBytes":1,"totalBytes":1,"droppedBytes":0}\n`);
  });
  const path = join(shortDir(t), 'slow.sock');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.teardown(() => server.close());
  const client = new AdminClient({ kind: 'unix', path });
  const { signal } = new AbortController();
  let isOver = false;
  let onProgress = (): void => {};
  const arrived = new Promise<void>((resolve) => {
    onProgress = resolve;
  });
  const verified = client.images.verify('x', { signal, onProgress }).finally(() => {
    isOver = true;
  });
  await arrived;
  // Its last line came with the progress; whatever that sets off in this process has happened.
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  t.notOk(isOver, 'closing the client leaves nothing to fail');
  end();
  t.match(await verified, { droppedBytes: 0 });
  await client.close();
});

t.test('a job that the caller ends', async (t) => {
  const { control, client } = await pair(t);
  control.hangs = true;
  const abort = new AbortController();
  const warm = client.images.warm('debian/12', { signal: abort.signal, onProgress: () => abort.abort() });
  await t.rejects(warm, { code: 'ERR_ABORTED' });
  await control.aborted;
});

t.test('a daemon that goes away under a job', async (t) => {
  const { control, client, server } = await pair(t);
  control.hangs = true;
  const { signal } = new AbortController();
  const warm = client.images.warm('debian/12', { signal, onProgress: () => void server.close() });
  await t.rejects(warm, { code: 'ERR_DAEMON_LOST' });
});

t.test('no daemon', async (t) => {
  const dir = shortDir(t);
  await writeFile(join(dir, 'file'), 'x');
  for (const address of [
    { kind: 'unix', path: join(dir, 'none.sock') },
    { kind: 'unix', path: join(dir, 'file') },
    { kind: 'tcp', host: '127.0.0.1', port: 1 },
  ] as const) {
    const client = new AdminClient(address);
    await t.rejects(client.node.status(), { code: 'ERR_NO_DAEMON' });
    await client.close();
  }
});

t.test('somebody else answers', async (t) => {
  const server = createServer((_request, response) => response.writeHead(500).end('<html>'));
  const path = join(shortDir(t), 'other.sock');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const client = new AdminClient({ kind: 'unix', path });
  t.teardown(async () => {
    await client.close();
    server.close();
  });
  await t.rejects(client.node.status(), { code: 'ERR_ADMIN_PROTOCOL' });
});
