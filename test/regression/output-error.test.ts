/**
 * A result that couldn't be written, to a full disk say, ended in a stack trace and exit code 1 or, where a part of it fitted, in success.
 * Progress that nobody read any more ended a job at once, and left behind what it was at.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { fakeDaemon, start } from '../cli/run.js';
import { runCommand, startCommand } from './command.js';

const isRoot = process.geteuid?.() === 0;

t.test('what can not be written is one line and exit code 7', async (t) => {
  const { stateDir } = await fakeDaemon(t);
  const commands = [
    ['status', '--state', stateDir],
    ['image', 'status', 'none', '--json', '--state', stateDir],
    ['image', 'verify', 'debian/12', '--json', '--state', stateDir],
    ['--help'],
  ];
  for (const args of commands) {
    const full = openSync('/dev/full', 'w');
    const { exitCode, stderr } = await runCommand(args, { stdout: full });
    closeSync(full);
    t.equal(exitCode, 7, args.join(' '));
    t.match(String(stderr), /^(?:copse: there is no image.*\n)?copse: the result can't be written: ENOSPC[^\n]*\n$/, args.join(' '));
  }
});

t.test('a result of which a part fits is no success', { skip: !isRoot && 'needs root, to mount a small file system' }, async (t) => {
  const { control, stateDir } = await fakeDaemon(t);
  for (let index = 0; index < 100; index += 1) await control.images.add({ name: `image-${index}`, url: 'https://images.example/d.raw' });
  const dir = join(t.testdir({}), 'small');
  mkdirSync(dir);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', dir]);
  t.teardown(() => execFileSync('umount', [dir]));
  const file = openSync(join(dir, 'out'), 'w');
  const { exitCode, stderr } = await runCommand(['image', 'ls', '--json', '--state', stateDir], { stdout: file });
  closeSync(file);
  t.ok(readFileSync(join(dir, 'out')).length > 0, 'a part fits');
  t.same([exitCode, String(stderr).trimEnd().split('\n').length], [7, 1], String(stderr));
});

t.test('a reader that has gone ends the command without a word', async (t) => {
  const { stateDir } = await fakeDaemon(t);
  for (const args of [
    ['image', 'ls', '--json'],
    ['image', 'status', 'none', '--json'],
  ]) {
    const child = start([...args, '--state', stateDir]);
    child.stdout?.destroy();
    const { stderr } = await child;
    t.notMatch(String(stderr), /EPIPE|\n {4}at /, args.join(' '));
  }
});

t.test('a job whose progress nobody reads ends in order, and one whose terminal has gone', async (t) => {
  const { control, stateDir } = await fakeDaemon(t);
  control.hangs = true;
  const unread = start(['image', 'warm', 'debian/12', '--state', stateDir]);
  unread.stderr?.destroy();
  t.equal((await unread).exitCode, 141);
  await control.aborted;
  const child = start(['image', 'warm', 'debian/12', '--state', stateDir]);
  if (!child.stderr) throw new Error('no stderr');
  await once(child.stderr, 'data');
  child.kill('SIGHUP');
  t.equal((await child).exitCode, 129);
  await control.aborted;
});

t.test('a full disk for the log does not end the daemon', async (t) => {
  const { stateDir } = await fakeDaemon(t);
  const image = join(stateDir, 'image.raw');
  writeFileSync(image, Buffer.alloc(1024 * 1024));
  const full = openSync('/dev/full', 'w');
  const listen = `unix:${join(stateDir, 'n.sock')}`;
  const own = ['--state', join(stateDir, 's'), '--listen', listen, '--log-level', 'trace', '--image', `image=${image}`];
  const { child, ended } = startCommand(['serve', ...own], { stderr: full });
  t.teardown(() => child.kill('SIGKILL'));
  if (!child.stdout) throw new Error('no stdout');
  const [line] = await once(child.stdout, 'data');
  closeSync(full);
  t.match(String(line), /^copse: ready/);
  const status = await start(['status', '--state', join(stateDir, 's')]);
  t.equal(status.exitCode, 0, String(status.stderr));
  child.stdout.destroy();
  child.kill('SIGHUP');
  child.kill('SIGTERM');
  t.equal((await ended).exitCode, 0);
});
