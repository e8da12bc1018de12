import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { CopseError } from '../../src/base/error.js';
import { exitCodeOf } from '../../src/cli/exit-code.js';
import { shortDir } from '../support/short-dir.js';
import { fakeDaemon, run, runShared, start } from './run.js';

t.test('exit codes', async (t) => {
  for (const [code, exitCode] of [
    ['ERR_NO_DAEMON', 3],
    ['ERR_NO_SUCH_IMAGE', 4],
    ['ERR_IMAGE_IN_USE', 5],
    ['ERR_IMAGE_EXISTS', 5],
    ['ERR_NOT_CLUSTERED', 5],
    ['ERR_ETCD_UNAVAILABLE', 1],
    ['ERR_URL', 2],
    ['ERR_DIGEST', 2],
    ['ERR_CONFIG', 2],
    ['ERR_ORIGIN_UNAVAILABLE', 1],
    ['EIO', 1],
  ] as const) {
    t.equal(exitCodeOf(code), exitCode, code);
  }
  const { control, cli } = await fakeDaemon(t);
  control.failure = new CopseError('ERR_IMAGE_IN_USE', 'a reason');
  const result = await cli('image', 'repin', 'debian/12', '--json');
  t.same([result.exitCode, result.stderr], [5, 'copse: a reason']);
  t.same(JSON.parse(result.stdout), { error: { code: 'ERR_IMAGE_IN_USE', message: 'a reason' } });
});

t.test('no daemon', async (t) => {
  const dir = shortDir(t);
  const [result, byEnvironment, debugged] = await Promise.all([
    runShared(['status', '--state', dir]),
    run(['status'], { env: { COPSE_ADMIN: 'tcp:127.0.0.1:1' } }),
    run(['status', '--state', dir], { env: { COPSE_DEBUG: '1' } }),
  ]);
  t.same([result.exitCode, result.stdout], [3, '']);
  t.match(result.stderr, /^copse: no daemon answers on unix:.*admin\.sock: start one with "copse serve"/);
  t.equal(byEnvironment.exitCode, 3);
  t.notMatch(result.stderr, /\n {4}at /, 'no stack trace');
  t.match(debugged.stderr, /\n {4}at /, 'unless it is asked for');
});

t.test('the daemon is chosen by flag and environment', async (t) => {
  const { address } = await fakeDaemon(t);
  const results = await Promise.all([
    runShared(['status', '--admin', address]),
    run(['status'], { env: { COPSE_ADMIN: address } }),
    run(['status', '--state', shortDir(t)], { env: { COPSE_ADMIN: address } }),
  ]);
  t.same(
    results.map(({ exitCode }) => exitCode),
    [0, 0, 3],
  );
});

t.test('wrong usage', async (t) => {
  const cases: [args: string, stderr: RegExp][] = [
    ['imgae ls', /^copse: unknown command 'imgae'\n\(Did you mean image\?\)$/],
    ['image wram x', /Did you mean warm\?/],
    ['warm x', /Did you mean copse image warm\?/],
    ['frobnicate', /copse --help/],
    ['image add x', /missing required argument 'url'/],
    ['image add ../x http://o', /can't name an image/],
    ['image add x http://o --backing y', /--backing FILE=IMAGE/],
    ['image add a/../b http://o', /can't name an image/],
    ['image add x ftp://o/x', /ftp: is not a kind of origin/],
    ['image add x file:rel.raw', /relative path/],
    ['image add x http://o --manifest http://o/m', /--digest is missing/],
    ['image add x http://o --digest blake3:0', /--manifest is missing/],
    ['image add x http://o --manifest m --digest blake3:0', /64 hexadecimal digits/],
    ['image add x http://o --share yes', /auto, trust, never/],
    ['image rm a b', /too many arguments/],
    ['status --admin nonsense', /tcp:HOST:PORT/],
    ['status --config /nonexistent.toml', /can't be read/],
    ['serve --image x', /--image NAME=URL/],
    ['serve --peer 10.0.0.2:10810', /--peer: .*add --address HOST:PORT/],
    ['serve --etcd http://10.0.0.9:2379', /--etcd: .*add --address HOST:PORT/],
    ['serve --cluster a', /--cluster: .*add --address HOST:PORT/],
    ['serve --address 10.0.0.1', /--address: .*HOST:PORT/],
    ['serve --address 10.0.0.1:1 --cluster auto', /--cluster: .*add --etcd URL/],
    ['serve --address 10.0.0.1:1 --peer 10.0.0.2:1 --etcd http://10.0.0.9:2379', /--peer: .*keep one/],
    ['serve --node a/b', /--node: .*a node's id/],
    ['drain', /Did you mean copse node drain\?/],
    ['serve --log-level loud', /--log-level: must be one of fatal/],
    ['', /Usage: copse/],
    ['image', /Usage: copse image/],
    ['cluster', /Usage: copse cluster/],
    ['node', /Usage: copse node/],
  ];
  for (const [args, stderr] of cases) {
    const result = await runShared(args.split(' ').filter((word) => word !== ''));
    t.same([result.exitCode, result.stdout], [2, ''], args);
    t.match(result.stderr, stderr, args);
  }
});

t.test('help and version', async (t) => {
  t.match(await run(['--version']), { exitCode: 0, stdout: /^\d+\.\d+\.\d+$/ });
  const help = await runShared(['--help']);
  t.match(help, { exitCode: 0, stdout: /Examples:.*Exit codes:.*3 +no daemon answers/s });
  t.match(await runShared(['help', 'serve']), { exitCode: 0, stdout: /--min-free/ });
});

t.test('a job is ended by SIGINT', async (t) => {
  const { control, stateDir } = await fakeDaemon(t);
  control.hangs = true;
  for (const [signal, exitCode] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const child = start(['image', 'warm', 'debian/12', '--state', stateDir]);
    if (child.stderr === null || child.stderr === undefined) throw new Error('no stderr');
    await once(child.stderr, 'data');
    child.kill(signal);
    t.equal((await child).exitCode, exitCode, signal);
    await control.aborted;
  }
});

t.test('the daemon goes away under a job', async (t) => {
  const { control, server, stateDir } = await fakeDaemon(t);
  control.hangs = true;
  const child = start(['image', 'verify', 'debian/12', '--state', stateDir]);
  if (child.stderr === null || child.stderr === undefined) throw new Error('no stderr');
  await once(child.stderr, 'data');
  await server.close();
  const { exitCode, stderr } = await child;
  t.equal(exitCode, 1);
  t.match(String(stderr), /copse: the daemon on unix:.* went away/);
});

t.test('damage that verify found', async (t) => {
  const { control, cli } = await fakeDaemon(t);
  control.images.verify = async () => ({ doneBytes: 10, totalBytes: 10, droppedBytes: 4 });
  const result = await cli('image', 'verify', 'debian/12');
  t.equal(result.exitCode, 6);
  t.match(result.stdout, /4 B were damaged/);
});

t.test('a reader that closes its end is no error', async (t) => {
  const { stateDir } = await fakeDaemon(t);
  const child = start(['image', 'ls', '--json', '--state', stateDir]);
  child.stdout?.destroy();
  const { stderr, exitCode } = await child;
  t.same([String(stderr), exitCode], ['', 0]);
});

t.test('configuration names where the daemon is', async (t) => {
  const { stateDir } = await fakeDaemon(t);
  const file = join(shortDir(t), 'c.toml');
  await writeFile(file, `state = ${JSON.stringify(stateDir)}\n`);
  t.equal((await runShared(['status', '--config', file])).exitCode, 0);
});
