import t from 'tap';
import { daemonStatus } from '../admin/fake-control.js';
import { fakeDaemon } from './run.js';

t.test('status', async (t) => {
  const { cli } = await fakeDaemon(t);
  const text = await cli('status');
  t.equal(text.exitCode, 0);
  t.match(text.stdout, /^listens\s+nbd\+unix:\/\/\/\?socket=\/run\/copse\/nbd\.sock$/m);
  t.match(text.stdout, /^cache\s+3 GiB of 100 GiB \(3 %\), ok$/m);
  t.equal(text.stderr, '');
  t.same(JSON.parse((await cli('status', '--json')).stdout), daemonStatus);
});

t.test('image ls and status', async (t) => {
  const { control, cli } = await fakeDaemon(t);
  const image = await control.images.status('debian/12');
  const [list, ...documents] = await Promise.all([
    cli('image', 'ls'),
    cli('image', 'ls', '--json'),
    cli('image', 'status', '--json'),
    cli('image', 'status', 'debian/12', '--json'),
  ]);
  const [head, row, ...rest] = list.stdout.split('\n');
  t.match(head, /^NAME +SIZE +CACHED +CLIENTS +ORIGIN +URL$/);
  t.match(row, /^debian\/12 +1 GiB +256 MiB 25 % +0 +ok +https:\/\/images\.example\/d\.raw$/);
  t.same(rest, []);
  t.notMatch(list.stdout, /\p{Cc}(?<!\n)/u, 'no colours, no control characters');
  t.same(
    documents.map(({ stdout }) => JSON.parse(stdout) as unknown),
    [[image], [image], image],
  );
  t.match((await cli('image', 'status', 'debian/12')).stdout, /^attach +nbd\+unix:\/\/\/debian\/12\?socket=\/run\/copse\/nbd\.sock$/m);

  image.origin = { health: 'changed', message: 'the origin changed: run copse image repin' };
  t.match((await cli('image', 'ls')).stdout, /^debian\/12: the origin changed: run copse image repin$/m);

  control.images.known.clear();
  t.match((await cli('image', 'ls')).stdout, /no images/);
  t.equal((await cli('image', 'ls', '--json')).stdout, '[]');
});

t.test('image add', async (t) => {
  const { control, cli } = await fakeDaemon(t);
  const args = ['image', 'add', 'web', 'web.qcow2', '--format', 'qcow2', '--chunk-size', '64K', '--deadline', '2m'];
  const added = await cli(...args, '--backing', 'base.qcow2=debian/12', '--backing', 'x=y');
  t.equal(added.exitCode, 0, added.stderr);
  t.same(control.images.added.at(-1), {
    name: 'web',
    url: `${process.cwd()}/web.qcow2`,
    format: 'qcow2',
    chunkSizeBytes: 65536,
    deadlineMs: 120_000,
    backing: { 'base.qcow2': 'debian/12', x: 'y' },
  });
  t.match(added.stdout, /^attach +nbd\+unix:\/\/\/web\?socket=/m);
  t.same(JSON.parse((await cli('image', 'add', 'b', 'http://o/b', '--json')).stdout), await control.images.status('b'));
  t.same(control.images.added.at(-1), { name: 'b', url: 'http://o/b' });
});

t.test('image repin and rm', async (t) => {
  const { control, cli } = await fakeDaemon(t);
  t.same(JSON.parse((await cli('image', 'repin', 'debian/12', '--json')).stdout), await control.images.status('debian/12'));
  const removed = await cli('image', 'rm', 'debian/12', '--json');
  t.same(JSON.parse(removed.stdout), { removed: 'debian/12' });
  t.equal(control.images.known.size, 0);
});

t.test('image warm and verify', async (t) => {
  const { cli } = await fakeDaemon(t);
  const warm = await cli('image', 'warm', 'debian/12');
  t.equal(warm.exitCode, 0);
  t.match(warm.stdout, /debian\/12 is warm: 1 GiB, 768 MiB of it fetched now/);
  t.match(warm.stderr, /^warm debian\/12: 0 B of 1 GiB \(0 %\)/, 'plain lines where there is no terminal');
  const json = await cli('image', 'warm', 'debian/12', '--json');
  t.same(JSON.parse(json.stdout), { name: 'debian/12', doneBytes: 2 ** 30, totalBytes: 2 ** 30, fetchedBytes: 768 * 2 ** 20 });
  t.equal(json.stderr, '');
  const verify = await cli('image', 'verify', 'debian/12', '--json');
  t.same(JSON.parse(verify.stdout), { name: 'debian/12', doneBytes: 2 ** 30, totalBytes: 2 ** 30, droppedBytes: 0 });
  t.equal(verify.exitCode, 0);
});
