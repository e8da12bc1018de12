import { once } from 'node:events';
import t from 'tap';
import { CopseError } from '../../src/base/error.js';
import { describeCluster, describeClusterImage } from '../../src/cli/describe-cluster.js';
import { describeExplanation } from '../../src/cli/describe-explanation.js';
import { clusterImageStatus, clusterStatus, explanation } from '../admin/fake-control.js';
import { fakeDaemon, start } from './run.js';

const noControlCharacter = /\p{Cc}(?<!\n)/u;

t.test('cluster status', async (t) => {
  const { control, cli } = await fakeDaemon(t);
  const { exitCode, stdout, stderr } = await cli('cluster', 'status');
  t.same([exitCode, stderr], [0, '']);
  t.equal(
    stdout,
    `node     host-a, 10.0.0.1:10810, gives 100 GiB
cluster  rack-1: as configured
members  static list

ID              ADDRESS         STATE  VERSION  USED                      RTT     BREAKER
host-a          10.0.0.1:10810  self   0.2.0    25 GiB of 100 GiB (25 %)  -       -
host-b          10.0.0.2:10810  up     0.2.0    20 GiB of 200 GiB (10 %)  184 µs  half-open
10.0.0.3:10810  10.0.0.3:10810  down   -        -                         -       open

host-b: set aside for debian/12 3m 20s ago: chunk 7 does not match the manifest
10.0.0.3:10810: down: connection refused: is copse running there?`,
  );
  t.notMatch(stdout, noControlCharacter);
  t.same(JSON.parse((await cli('cluster', 'status', '--json')).stdout), clusterStatus);

  control.failure = new CopseError('ERR_NOT_CLUSTERED', 'alone');
  t.match(await cli('cluster', 'status', '--json'), { exitCode: 5, stdout: /ERR_NOT_CLUSTERED/ });
});

t.test('a cluster in trouble', async (t) => {
  const text = describeCluster({
    ...clusterStatus,
    node: { id: 'host-a', address: '10.0.0.1:10810', donatedBytes: 0, draining: true },
    membership: { kind: 'etcd', well: false, message: 'etcd does not answer: the last known list is in force' },
    cutOff: true,
  });
  t.match(text, /^node +host-a, 10\.0\.0\.1:10810, gives nothing, draining$/m);
  t.match(text, /^members +etcd: etcd does not answer: the last known list is in force$/m);
  t.match(text, /^cut off +no other member answers/m);
  t.match(describeCluster({ ...clusterStatus, enabled: false }), /^host-a is in no cluster: start it with --address/);
});

t.test('cluster move', async (t) => {
  const { control, cli } = await fakeDaemon(t);
  t.match(await cli('cluster', 'move', 'rack-7'), { exitCode: 0, stdout: 'this node is in cluster rack-7 now' });
  t.match(JSON.parse((await cli('cluster', 'move', 'auto', '--json')).stdout), { name: 'rack-2', takesEffect: 'now' });
  t.same(control.cluster.movedTo, ['rack-7', 'auto']);
  t.match(await cli('cluster', 'move', 'a/b'), { exitCode: 2, stderr: /a cluster's name/ });
});

t.test('node drain', async (t) => {
  const { control, cli } = await fakeDaemon(t);
  const drained = await cli('node', 'drain');
  t.match(drained, { exitCode: 0, stdout: '3 GiB handed on\nthis host may be switched off', stderr: /^drain: 0 B of 3 GiB/ });
  t.ok(control.node.isDraining);
  t.match(await cli('node', 'drain', '--undo'), { exitCode: 0, stdout: 'this node takes part again' });
  t.notOk(control.node.isDraining);

  control.node.drained = {
    handedOnBytes: 0,
    lastCopiesLeft: 1,
    disksMoved: 0,
    disksLeft: [],
    safe: false,
    message: 'no other node has room',
  };
  t.match(await cli('node', 'drain'), {
    exitCode: 1,
    stdout: /^0 B handed on, 1 chunk left that no other node holds\nno other node has room$/,
  });
  const json = await cli('node', 'drain', '--json');
  t.same(JSON.parse(json.stdout), { doneBytes: 3 * 2 ** 30, totalBytes: 3 * 2 ** 30, ...control.node.drained });
  t.same([json.exitCode, json.stderr], [1, '']);
  t.same(JSON.parse((await cli('node', 'drain', '--undo', '--json')).stdout), { draining: false });
});

t.test('a drain that is interrupted says what goes on', async (t) => {
  const { control, stateDir } = await fakeDaemon(t);
  control.hangs = true;
  const child = start(['node', 'drain', '--state', stateDir]);
  if (child.stderr === null || child.stderr === undefined) throw new Error('no stderr');
  await once(child.stderr, 'data');
  child.kill('SIGINT');
  const { exitCode, stderr } = await child;
  t.equal(exitCode, 130);
  t.match(String(stderr), /copse: the node goes on draining/);
  await control.aborted;
});

t.test('what the cluster holds of an image', async (t) => {
  const { cli } = await fakeDaemon(t);
  const { stdout } = await cli('image', 'status', 'debian/12', '--cluster');
  t.equal(
    stdout,
    `name                debian/12
id                  0123456789abcdef0123456789abcdef
shared              yes, guarded by the origin's strong ETag
held                1024 of 4096 chunks (25 %)
copies              1 to 2, 1.5 on average of each chunk that is held
touched             1000 chunks, 1000 of them held
without its origin  the cluster can serve all that guests have read so far, but not the rest

NODE    HELD     TOUCHED
host-a  128 MiB  900 chunks
host-b  256 MiB  -`,
  );
  t.same(JSON.parse((await cli('image', 'status', 'debian/12', '--cluster', '--json')).stdout), clusterImageStatus);
  t.match(await cli('image', 'status', '--cluster'), { exitCode: 2, stderr: /image status NAME --cluster/ });

  const unshared = describeClusterImage({
    name: 'a',
    guard: 'none',
    shared: false,
    reason: 'its origin gives no strong identity',
    chunkCount: 1,
    heldChunks: 0,
    copies: { least: 0, average: 0, greatest: 0 },
    servableWithoutOrigin: 'no',
    nodes: [],
  });
  t.equal(
    unshared,
    `name                a
shared              no: its origin gives no strong identity
held                0 of 1 chunk (0 %)
copies              none
without its origin  the cluster can not serve the image`,
  );
});

t.test('explain', async (t) => {
  const { cli } = await fakeDaemon(t);
  const { exitCode, stdout } = await cli('explain', 'debian/12');
  t.equal(exitCode, 0);
  t.equal(
    stdout,
    `debian/12
93 % of the time that its reads waited, they waited for the origin.

SOURCE  READS  BYTES   SHARE  WAITED  A READ
cache   900    20 MiB  66 %   13 ms   14 µs
peer    90     9 MiB   30 %   180 ms  2 ms
origin  10     1 MiB   3 %    2.4 s   240 ms

PEER    BYTES  REQUESTS  FAILED  MEDIAN  95 %
host-b  9 MiB  40        1       1.3 ms  8 ms

SLOWEST  SOURCE  OFFSET  LENGTH
812 ms   origin  262144  4 KiB

This node asked the origin: 8 requests, 1 MiB, 5 chunks, 4 of them different; 1 retry.`,
  );
  t.same(JSON.parse((await cli('explain', 'debian/12', '--json')).stdout), explanation);
  t.match(await cli('explain', 'none'), { exitCode: 4 });

  const none = { reads: 0, bytes: 0, waitedMs: 0 };
  const unused = describeExplanation({
    name: 'a',
    sources: { cache: none, peer: none, origin: none },
    peers: [],
    slowest: [],
    origin: { requests: 0, bytes: 0, chunks: 0, uniqueChunks: 0, retries: 0 },
    text: ['Nobody has read it yet.'],
  });
  t.match(unused, /^a\nNobody has read it yet\.\n\nSOURCE/);
  t.match(unused, /^cache +0 +0 B +- +0 ms +-$/m);
  t.match(unused, /This node did not ask the origin\.$/);
});

t.test('image warm --cluster', async (t) => {
  const { control, cli } = await fakeDaemon(t);
  t.match(await cli('image', 'warm', 'debian/12', '--cluster'), { exitCode: 0, stdout: /^debian\/12 is warm in the cluster: 1 GiB/ });
  t.equal(control.images.warmedCluster, true);
  await cli('image', 'warm', 'debian/12');
  t.equal(control.images.warmedCluster, false);
});

t.test('image add with a manifest', async (t) => {
  const { control, cli } = await fakeDaemon(t);
  const digest = `blake3:${'0f'.repeat(32)}`;
  const added = await cli('image', 'add', 'a', 'http://o/a', '--manifest', 'a.manifest', '--digest', digest, '--share', 'trust');
  t.equal(added.exitCode, 0, added.stderr);
  t.same(control.images.added.at(-1), { name: 'a', url: 'http://o/a', manifest: `${process.cwd()}/a.manifest`, digest, share: 'trust' });

  control.images.known.set('a', {
    ...(await control.images.status('a')),
    manifest: { url: '/a.manifest', digest },
    share: 'trust',
    guard: 'manifest',
  });
  const { stdout } = await cli('image', 'status', 'a');
  t.match(stdout, new RegExp(`^manifest +/a\\.manifest, ${digest}$`, 'm'));
  t.match(stdout, /^share +trust$/m);
  t.match(stdout, /^guard +guarded by the digest of every chunk$/m);
});
