/** Disks over the admin API: the routes by bare HTTP, and the client that asks them. */

import t, { type Test } from 'tap';
import { AdminClient } from '../../src/admin/client.js';
import { CopseError } from '../../src/base/error.js';
import type { JobOptions } from '../../src/base/job.js';
import { GiB } from '../../src/base/size.js';
import { busyDisk, idleDisk } from './fake-disks.js';
import { type Method, serve } from './serve.js';

async function disks(test: Test) {
  const served = await serve(test);
  for (const disk of [busyDisk, idleDisk]) served.control.disks.known.set(disk.name, disk);
  const client = new AdminClient({ kind: 'unix', path: served.path });
  test.teardown(() => client.close());
  return { ...served, client };
}

const job = (): JobOptions => ({ signal: new AbortController().signal, onProgress() {} });

t.test('routes answer what control answers', async (t) => {
  const { control, call } = await disks(t);
  t.same((await call('GET', '/v1/disks')).json(), [busyDisk, idleDisk]);
  t.same((await call('GET', '/v1/disks/vm%2F1')).json(), busyDisk);

  const request = { image: 'debian/12', sizeBytes: 40 * GiB, handover: 'explicit', multiConn: true, deadlineMs: 0 };
  const created = await call('PUT', '/v1/disks/vm%2F2', request);
  t.same([created.status, created.json()], [200, control.disks.known.get('vm/2')]);
  t.same(control.disks.calls.at(-1), ['create', { name: 'vm/2', ...request }]);

  t.equal((await call('POST', '/v1/disks/scratch/resize', { sizeBytes: 2 * GiB })).json()['sizeBytes'], 2 * GiB);
  t.match((await call('POST', '/v1/disks/scratch/take')).json(), { name: 'scratch', epoch: 2 }, 'without a body');
  t.same(control.disks.calls.at(-1), ['take', 'scratch', {}]);
  t.same((await call('DELETE', '/v1/disks/vm%2F1/snapshots/before-upgrade')).json()['snapshots'], []);
  const removed = await call('DELETE', '/v1/disks/vm%2F2');
  t.same([removed.status, removed.text, control.disks.known.has('vm/2')], [204, '', false]);
});

t.test('jobs are told line by line', async (t) => {
  const { control, call } = await disks(t);
  const total = busyDisk.overlay?.dataBytes;
  for (const [url, body, result] of [
    ['snapshots/a', undefined, {}],
    ['snapshots/a/revert', undefined, {}],
    ['promote', { image: 'golden' }, { image: 'golden', path: '/var/lib/copse/promoted/golden.raw' }],
    ['migrate', { to: 'host-b' }, { handedOver: true, message: 'host-b owns it now' }],
  ] as [string, unknown, object][]) {
    const answer = await call('POST', `/v1/disks/vm%2F1/${url}`, body);
    t.match(answer.type, /^application\/x-ndjson/, url);
    const lines = answer.text.trimEnd().split('\n');
    t.same(JSON.parse(lines[0] ?? ''), { type: 'progress', doneBytes: 0, totalBytes: total }, url);
    t.match(JSON.parse(lines.at(-1) ?? ''), { type: 'result', doneBytes: total, totalBytes: total, ...result }, url);
  }
  control.failure = new CopseError('ERR_DISK_IN_USE', 'a client is attached');
  const refused = await call('POST', '/v1/disks/vm%2F1/snapshots/a/revert');
  t.same([refused.status, refused.json()], [409, { code: 'ERR_DISK_IN_USE', message: 'a client is attached' }]);
});

t.test('the client is the control behind the server', async (t) => {
  const { control, client } = await disks(t);
  t.same(await client.disks.list(), await control.disks.list());
  t.same(await client.disks.status('vm/1'), busyDisk);
  t.same(await client.disks.create({ name: 'a', image: undefined, sizeBytes: GiB }), control.disks.known.get('a'));
  t.same(control.disks.calls.at(-1), ['create', { name: 'a', sizeBytes: GiB }]);
  t.equal((await client.disks.resize('a', 2 * GiB)).sizeBytes, 2 * GiB);
  await client.disks.remove('a');
  t.notOk(control.disks.known.has('a'));

  const seen: number[] = [];
  const progress = { doneBytes: 3 * GiB, totalBytes: 3 * GiB };
  t.same(await client.disks.snapshot('vm/1', 's 1', { ...job(), onProgress: ({ doneBytes }) => seen.push(doneBytes) }), progress);
  t.equal(seen[0], 0);
  t.same(await client.disks.revert('vm/1', 's 1', job()), progress);
  t.same((await client.disks.removeSnapshot('vm/1', 'before-upgrade')).snapshots, []);
  t.match(await client.disks.promote('vm/1', 'golden', { ...job(), path: '/srv/g.raw' }), {
    ...progress,
    path: '/srv/g.raw',
    image: 'golden',
  });
  t.match(await client.disks.migrate('vm/1', 'host-b', job()), { ...progress, handedOver: true });
  control.disks.known.set('far', { ...idleDisk, name: 'far', place: 'unreachable', owner: 'host-z' });
  t.match(await client.disks.take('far', { force: true, acceptLoss: true }), { from: 'host-z', owner: 'host-a', epoch: 2 });
  t.same(control.disks.calls.slice(2), [
    ['remove', 'a'],
    ['snapshot', 'vm/1', 's 1'],
    ['revert', 'vm/1', 's 1'],
    ['remove snapshot', 'vm/1', 'before-upgrade'],
    ['promote', 'vm/1', 'golden', '/srv/g.raw'],
    ['migrate', 'vm/1', 'host-b'],
    ['take', 'far', { force: true, acceptLoss: true }],
  ]);
});

t.test('a job of a disk that the caller ends', async (t) => {
  const { control, client } = await disks(t);
  control.hangs = true;
  const abort = new AbortController();
  const migrating = client.disks.migrate('vm/1', 'host-b', { signal: abort.signal, onProgress: () => abort.abort() });
  await t.rejects(migrating, { code: 'ERR_ABORTED' });
  await control.aborted;
});

t.test('errors have the status of their code, and keep it', async (t) => {
  const { control, call, client } = await disks(t);
  t.match(await call('GET', '/v1/disks/none'), { status: 404, text: /ERR_NO_SUCH_DISK/ });
  for (const [code, status] of [
    ['ERR_NO_SUCH_IMAGE', 404],
    ['ERR_NO_SUCH_SNAPSHOT', 404],
    ['ERR_DISK_EXISTS', 409],
    ['ERR_DISK_IN_USE', 409],
    ['ERR_DISK_INCOMPLETE', 409],
    ['ERR_DISK_LOSS', 409],
    ['ERR_NOT_OWNER', 409],
    ['ERR_OWNER_UNREACHABLE', 409],
    ['ERR_SNAPSHOT_EXISTS', 409],
    ['ENOSPC', 507],
  ] as const) {
    control.failure = new CopseError(code, 'a reason');
    const answer = await call('PUT', '/v1/disks/x', { sizeBytes: GiB });
    t.same([answer.status, answer.json()], [status, { code, message: 'a reason' }], code);
    await t.rejects(client.disks.status('x'), { code, message: 'a reason' });
  }
});

t.test('a request that is no good never reaches control', async (t) => {
  const { control, call } = await disks(t);
  const refusals: [what: string, method: Method, url: string, body: unknown, code: string][] = [
    ['size', 'PUT', '/v1/disks/x', { sizeBytes: 0 }, 'ERR_REQUEST'],
    ['size in words', 'PUT', '/v1/disks/x', { sizeBytes: '40G' }, 'ERR_REQUEST'],
    ['handover', 'PUT', '/v1/disks/x', { sizeBytes: GiB, handover: 'never' }, 'ERR_REQUEST'],
    ['unknown key', 'PUT', '/v1/disks/x', { size: GiB }, 'ERR_REQUEST'],
    ['name', 'PUT', `/v1/disks/${'x'.repeat(256)}`, { sizeBytes: GiB }, 'ERR_REQUEST'],
    ['no size', 'POST', '/v1/disks/scratch/resize', {}, 'ERR_REQUEST'],
    ['fraction', 'POST', '/v1/disks/scratch/resize', { sizeBytes: 1.5 }, 'ERR_REQUEST'],
    ['force', 'POST', '/v1/disks/scratch/take', { force: 'yes' }, 'ERR_REQUEST'],
    ['no image', 'POST', '/v1/disks/scratch/promote', {}, 'ERR_REQUEST'],
    ['relative path', 'POST', '/v1/disks/scratch/promote', { image: 'g', path: 'g.raw' }, 'ERR_OPTION'],
    ['no node', 'POST', '/v1/disks/scratch/migrate', {}, 'ERR_REQUEST'],
  ];
  for (const [what, method, url, body, code] of refusals) {
    const answer = await call(method, url, body);
    t.same([answer.status, answer.json()['code']], [400, code], what);
  }
  t.same(control.disks.calls, []);
});
