import { stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { request } from 'undici';
import { CopseError } from '../../src/base/error.js';
import { silentLogger } from '../../src/base/log.js';
import { shortDir } from '../support/short-dir.js';
import { FakeControl } from './fake-control.js';
import { createAdminServer, type Method, serve } from './serve.js';

t.test('answers what control answers', async (t) => {
  const { control, call, path } = await serve(t);
  t.equal((await stat(path)).mode & 0o777, 0o600, 'only its owner may use the socket');

  const status = await call('GET', '/v1/status');
  t.equal(status.status, 200);
  t.same(status.json(), await control.node.status());

  t.same((await call('GET', '/v1/images')).json(), await control.images.list());
  t.same((await call('GET', '/v1/images/debian%2F12')).json(), await control.images.status('debian/12'));

  const name = `${'n'.repeat(127)}/${'m'.repeat(127)}`;
  const added = await call('PUT', `/v1/images/${encodeURIComponent(name)}`, {
    url: 'http://o/x',
    chunkSizeBytes: 65536,
    deadlineMs: 0,
    backing: { 'a.qcow2': 'b' },
  });
  t.equal(added.status, 200);
  t.same(control.images.added.at(-1), { name, url: 'http://o/x', chunkSizeBytes: 65536, deadlineMs: 0, backing: { 'a.qcow2': 'b' } });

  t.equal((await call('POST', '/v1/images/debian%2F12/repin')).status, 200);
  const removed = await call('DELETE', '/v1/images/debian%2F12');
  t.same([removed.status, removed.text], [204, '']);
  t.notOk(control.images.known.has('debian/12'));

  const metrics = await call('GET', '/metrics');
  t.match(metrics.type, /^text\/plain; version=0\.0\.4/);
  t.equal(metrics.text, await control.node.metrics());
  t.equal((await call('GET', '/healthz')).text, 'ok\n');
});

t.test("the digest of a file's identity is in the status of its image", async (t) => {
  const { control, call } = await serve(t);
  const identity = { kind: 'file', sizeBytes: 4096, inode: '77', mtimeNs: '1', digest: `blake3:${'0'.repeat(64)}` } as const;
  control.images.known.set('debian/12', { ...(await control.images.status('debian/12')), identity });
  t.same((await call('GET', '/v1/images/debian%2F12')).json()['identity'], identity);
  t.same(JSON.parse((await call('GET', '/v1/images')).text)[0].identity, identity);
});

t.test('OpenAPI names every route', async (t) => {
  const { call } = await serve(t);
  const document = (await call('GET', '/v1/openapi.json')).json() as { openapi: string; paths: Record<string, object> };
  t.match(document.openapi, /^3\./);
  t.same(
    Object.entries(document.paths)
      .flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method} ${path}`))
      .sort(),
    [
      'delete /v1/disks/{name}',
      'delete /v1/disks/{name}/snapshots/{snapshot}',
      'delete /v1/images/{name}',
      'delete /v1/node/drain',
      'get /healthz',
      'get /metrics',
      'get /v1/cluster',
      'get /v1/disks',
      'get /v1/disks/{name}',
      'get /v1/images',
      'get /v1/images/{name}',
      'get /v1/images/{name}/cluster',
      'get /v1/images/{name}/explain',
      'get /v1/status',
      'post /v1/cluster/move',
      'post /v1/disks/{name}/accept-loss',
      'post /v1/disks/{name}/migrate',
      'post /v1/disks/{name}/promote',
      'post /v1/disks/{name}/rename',
      'post /v1/disks/{name}/resize',
      'post /v1/disks/{name}/snapshots/{snapshot}',
      'post /v1/disks/{name}/snapshots/{snapshot}/revert',
      'post /v1/disks/{name}/take',
      'post /v1/images/{name}/rename',
      'post /v1/images/{name}/repin',
      'post /v1/images/{name}/seal',
      'post /v1/images/{name}/verify',
      'post /v1/images/{name}/warm',
      'post /v1/node/drain',
      'put /v1/disks/{name}',
      'put /v1/images/{name}',
    ],
  );
});

t.test('errors have the status of their code', async (t) => {
  const { control, call } = await serve(t);
  for (const [code, status] of [
    ['ERR_NO_SUCH_IMAGE', 404],
    ['ERR_IMAGE_EXISTS', 409],
    ['ERR_IMAGE_IN_USE', 409],
    ['ERR_SIZE', 400],
    ['ERR_NAME', 400],
    ['ERR_URL', 400],
    ['ERR_OPTION', 400],
    ['ERR_DIGEST', 400],
    ['ERR_NOT_CLUSTERED', 409],
    ['ERR_ETCD_UNAVAILABLE', 503],
    ['ERR_ETCD_REFUSED', 502],
    ['ERR_DIGEST_MISMATCH', 502],
    ['ERR_ORIGIN_UNAVAILABLE', 502],
    ['ERR_ORIGIN_CHANGED', 502],
    ['ERR_FORMAT', 502],
    ['ERR_DEADLINE', 502],
    ['EIO', 500],
  ] as const) {
    control.failure = new CopseError(code, 'a reason');
    const answer = await call('PUT', '/v1/images/x', { url: 'http://o' });
    t.same([answer.status, answer.json()], [status, { code, message: 'a reason' }], code);
  }
  control.failure = new TypeError('a bug');
  const bug = await call('GET', '/v1/status');
  t.same([bug.status, bug.json()['code']], [500, 'ERR_UNKNOWN']);
});

t.test('a request that is no good never reaches control', async (t) => {
  const { control, call } = await serve(t);
  const before = control.images.added.length;
  const refusals: [string, Method, string, unknown?][] = [
    ['no url', 'PUT', '/v1/images/x', {}],
    ['no body', 'PUT', '/v1/images/x'],
    ['not JSON', 'PUT', '/v1/images/x', '{'],
    ['unknown key', 'PUT', '/v1/images/x', { url: 'http://o', chunk_size: 1 }],
    ['wrong type', 'PUT', '/v1/images/x', { url: 'http://o', chunkSizeBytes: '64K' }],
    ['negative deadline', 'PUT', '/v1/images/x', { url: 'http://o', deadlineMs: -1 }],
    ['name too long', 'PUT', `/v1/images/${'x'.repeat(256)}`, { url: 'http://o' }],
  ];
  for (const [what, method, url, body] of refusals) {
    const answer = await call(method, url, body);
    t.same([answer.status, answer.json()['code']], [400, 'ERR_REQUEST'], what);
  }
  const digest = `blake3:${'0'.repeat(64)}`;
  const coded: [string, Method, string, unknown, string][] = [
    ['scheme', 'PUT', '/v1/images/x', { url: 'ftp://o' }, 'ERR_URL'],
    ['relative path', 'PUT', '/v1/images/x', { url: 'x.raw' }, 'ERR_URL'],
    ['relative path of a manifest', 'PUT', '/v1/images/x', { url: 'http://o', manifest: 'm', digest }, 'ERR_URL'],
    ['digest', 'PUT', '/v1/images/x', { url: 'http://o', manifest: '/m', digest: 'sha256:0' }, 'ERR_DIGEST'],
    ['digest without manifest', 'PUT', '/v1/images/x', { url: 'http://o', digest }, 'ERR_OPTION'],
    ['manifest without digest', 'PUT', '/v1/images/x', { url: 'http://o', manifest: '/m' }, 'ERR_OPTION'],
    ['sharing', 'PUT', '/v1/images/x', { url: 'http://o', share: 'yes' }, 'ERR_REQUEST'],
    ['cluster', 'POST', '/v1/cluster/move', { name: 'a/b' }, 'ERR_NAME'],
    ['no cluster', 'POST', '/v1/cluster/move', {}, 'ERR_REQUEST'],
    ['warming', 'POST', '/v1/images/debian%2F12/warm?cluster=maybe', undefined, 'ERR_REQUEST'],
    ['unknown parameter', 'POST', '/v1/images/debian%2F12/warm?clusters=true', undefined, 'ERR_REQUEST'],
  ];
  for (const [what, method, url, body, code] of coded) {
    const answer = await call(method, url, body);
    t.same([answer.status, answer.json()['code']], [400, code], what);
  }
  t.same(control.cluster.movedTo, []);
  const tooLarge = await call('PUT', '/v1/images/x', { url: 'u'.repeat(70_000) });
  t.same([tooLarge.status, tooLarge.json()['code']], [413, 'ERR_REQUEST']);
  const unknown = await call('GET', '/v2/status');
  t.same([unknown.status, unknown.json()['code']], [404, 'ERR_NO_SUCH_ROUTE']);
  t.equal(control.images.added.length, before);
});

t.test('jobs are told line by line', async (t) => {
  const { control, call } = await serve(t);
  const lines = async (url: string) => {
    const answer = await call('POST', url);
    t.match(answer.type, /^application\/x-ndjson/);
    return answer.text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  const warm = await lines('/v1/images/debian%2F12/warm');
  t.match(warm[0], { type: 'progress', doneBytes: 0, totalBytes: 1073741824 });
  t.same(warm.at(-1), { type: 'result', doneBytes: 1073741824, totalBytes: 1073741824, fetchedBytes: 805306368 });
  t.match((await lines('/v1/images/debian%2F12/verify')).at(-1), { type: 'result', droppedBytes: 0 });

  control.stepCount = 100_000;
  t.ok((await lines('/v1/images/debian%2F12/warm')).length < 1000, 'progress does not flood');

  control.jobFailure = new CopseError('ERR_ORIGIN_CHANGED', 'changed');
  t.same((await lines('/v1/images/debian%2F12/warm')).at(-1), { type: 'error', code: 'ERR_ORIGIN_CHANGED', message: 'changed' });

  const missing = await call('POST', '/v1/images/none/warm');
  t.same([missing.status, missing.json()['code']], [404, 'ERR_NO_SUCH_IMAGE'], 'what fails at once has a status of its own');
});

t.test('the cluster', async (t) => {
  const { control, call } = await serve(t);
  t.same((await call('GET', '/v1/cluster')).json(), await control.cluster.status());
  t.same((await call('GET', '/v1/images/debian%2F12/cluster')).json(), await control.cluster.imageStatus('debian/12'));
  t.same((await call('GET', '/v1/images/debian%2F12/explain')).json(), await control.node.explain('debian/12'));
  t.match((await call('POST', '/v1/cluster/move', { name: 'auto' })).json(), { name: 'rack-2', takesEffect: 'now' });
  t.same(control.cluster.movedTo, ['auto']);

  const drain = (await call('POST', '/v1/node/drain')).text.trimEnd().split('\n');
  t.match(JSON.parse(drain.at(-1) ?? ''), { type: 'result', safe: true, lastCopiesLeft: 0 });
  t.ok(control.node.isDraining);
  const undrain = await call('DELETE', '/v1/node/drain');
  t.same([undrain.status, undrain.text, control.node.isDraining], [204, '', false]);

  await call('POST', '/v1/images/debian%2F12/warm');
  t.equal(control.images.warmedCluster, false);
  await call('POST', '/v1/images/debian%2F12/warm?cluster=true');
  t.equal(control.images.warmedCluster, true);

  control.failure = new CopseError('ERR_NOT_CLUSTERED', 'alone');
  for (const [method, url, body] of [
    ['GET', '/v1/cluster'],
    ['POST', '/v1/cluster/move', { name: 'x' }],
    ['POST', '/v1/node/drain'],
    ['DELETE', '/v1/node/drain'],
  ] as [Method, string, unknown?][]) {
    const answer = await call(method, url, body);
    t.same([answer.status, answer.json()['code']], [409, 'ERR_NOT_CLUSTERED'], url);
  }
});

t.test('what a node does not know of its peers is left out', async (t) => {
  const { control, call } = await serve(t);
  const silent = control.cluster.current.members.at(-1);
  t.notOk(silent && 'rttUs' in silent);
  control.cluster.current = { ...control.cluster.current, node: { ...control.cluster.current.node, address: undefined } };
  const { node, members } = (await call('GET', '/v1/cluster')).json() as { node: object; members: object[] };
  t.notOk('address' in node);
  t.same(members.at(-1), silent);
});

t.test('a job ends when its client goes away', async (t) => {
  const { control, agent } = await serve(t);
  control.hangs = true;
  const answer = await request('http://localhost/v1/images/debian%2F12/warm', { dispatcher: agent, method: 'POST' });
  await new Promise((resolve) => answer.body.once('data', resolve));
  answer.body.on('error', () => {});
  answer.body.destroy();
  await control.aborted;
});

t.test('closing the server ends jobs and connections', async (t) => {
  const { control, agent, server } = await serve(t);
  control.hangs = true;
  const answer = await request('http://localhost/v1/images/debian%2F12/verify', { dispatcher: agent, method: 'POST' });
  const ended = t.rejects(answer.body.text());
  await server.close();
  await Promise.all([control.aborted, ended]);
  await server.close();
});

t.test('a socket file is replaced only when nobody answers on it', async (t) => {
  const dir = shortDir(t);
  await writeFile(join(dir, 'file'), 'x');
  const log = silentLogger;
  const first = createAdminServer(new FakeControl(), { log });
  t.teardown(() => first.close());
  const address = { kind: 'unix', path: join(dir, 'made', 'a.sock') } as const;
  t.same(await first.listen(address), address);

  const second = createAdminServer(new FakeControl(), { log });
  t.teardown(() => second.close());
  await t.rejects(second.listen(address), { code: 'ERR_ADDRESS_IN_USE' });

  const stalePath = join(dir, 'stale.sock');
  await leaveStaleSocket(stalePath);
  const third = createAdminServer(new FakeControl(), { log });
  t.teardown(() => third.close());
  await third.listen({ kind: 'unix', path: stalePath });

  const fourth = createAdminServer(new FakeControl(), { log });
  t.teardown(() => fourth.close());
  await t.rejects(fourth.listen({ kind: 'unix', path: join(dir, 'file') }), { code: 'ERR_LISTEN' });
  await t.rejects(
    fourth.listen({ kind: 'unix', path: join(dir, 'long'.repeat(30)) }),
    { code: 'ERR_ADDRESS' },
    'Node would bind a part of it',
  );
});

/** Binds by a child that is killed, so that the file stays. */
async function leaveStaleSocket(path: string): Promise<void> {
  const { execa } = await import('execa');
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  await execa(process.execPath, ['-e', script], { reject: false });
  await stat(path);
}

t.test('TCP', async (t) => {
  const log = silentLogger;
  const remote = createAdminServer(new FakeControl(), { log });
  t.teardown(() => remote.close());
  for (const host of ['0.0.0.0', '::', '192.0.2.1', 'example.org']) {
    await t.rejects(remote.listen({ kind: 'tcp', host, port: 0 }), { code: 'ERR_ADDRESS_REMOTE' }, host);
  }

  const server = createAdminServer(new FakeControl(), { log });
  t.teardown(() => server.close());
  const bound = await server.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 });
  if (bound.kind !== 'tcp') throw new Error('not TCP');
  t.ok(bound.port > 0);
  const statusOf = async (headers: Record<string, string>) => {
    const answer = await request(`http://127.0.0.1:${bound.port}/v1/status`, { headers });
    await answer.body.dump();
    return answer.statusCode;
  };
  t.equal(await statusOf({}), 200);
  t.equal(await statusOf({ host: `localhost:${bound.port}` }), 200);
  t.equal(await statusOf({ host: `rebound.example:${bound.port}` }), 403, 'a name that was made to point here');
  t.equal(await statusOf({ origin: 'https://page.example' }), 403, 'a page from elsewhere');
  t.equal(await statusOf({ origin: `http://127.0.0.1:${bound.port}` }), 200, 'its own page');

  const busy = createServer();
  await new Promise<void>((resolve) => busy.listen(0, '127.0.0.1', resolve));
  t.teardown(() => new Promise((resolve) => busy.close(resolve)));
  const taken = busy.address();
  if (typeof taken !== 'object' || taken === null) throw new Error('no address');
  const late = createAdminServer(new FakeControl(), { log, allowRemote: true });
  t.teardown(() => late.close());
  await t.rejects(late.listen({ kind: 'tcp', host: '127.0.0.1', port: taken.port }), { code: 'ERR_ADDRESS_IN_USE' });
  const open = await late.listen({ kind: 'tcp', host: '0.0.0.0', port: 0 });
  t.equal(open.kind, 'tcp', 'remote by explicit choice');
});
