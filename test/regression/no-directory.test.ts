/** A directory that can't be made: below /proc the daemon tried for ever, elsewhere it told of a system call. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { makeDirectory, makeDirectorySync } from '../../src/base/make-directory.js';
import { shortDir } from '../support/short-dir.js';
import { runCommand } from './command.js';

t.test('each reason is told, at once', async (t) => {
  const dir = shortDir(t);
  writeFileSync(join(dir, 'file'), '');
  symlinkSync('nowhere', join(dir, 'link'));
  symlinkSync('loop', join(dir, 'loop'));
  const cases: [path: string, reason: RegExp][] = [
    ['/proc/copse/state', /no new directories/],
    ['/proc/1/copse', /\/proc\/1\/copse can't be made/],
    [join(dir, 'file'), /in the way/],
    [join(dir, 'file', 'state'), /part of the path is a file/],
    [join(dir, 'link'), /in the way/],
    [join(dir, 'loop', 'state'), /circle/],
    [join(dir, 'n'.repeat(300), 'state'), /too long/],
  ];
  if (process.geteuid?.() === 0) {
    const readOnly = join(dir, 'read-only');
    mkdirSync(readOnly);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', readOnly]);
    t.teardown(() => execFileSync('umount', [readOnly]));
    cases.push([join(readOnly, 'state'), /read-only/]);
  }
  for (const [path, reason] of cases) {
    t.throws(() => makeDirectorySync(path, 0o700), { code: 'ERR_DIRECTORY', message: reason }, path);
    await t.rejects(makeDirectory(path, 0o700), { code: 'ERR_DIRECTORY', message: reason }, path);
  }
  for (const path of [join(dir, 'a', 'b'), join(dir, 'a', 'b', 'c', 'd'), dir]) {
    makeDirectorySync(path, 0o700);
    await makeDirectory(path, 0o700);
  }
});

t.test('the daemon ends with one line', async (t) => {
  const dir = shortDir(t);
  mkdirSync(join(dir, 'cached'));
  writeFileSync(join(dir, 'cached', 'cache'), '');
  const listen = `unix:${join(dir, 'n')}`;
  const results = await Promise.all([
    runCommand(['serve', '--state', '/proc/copse', '--listen', listen]),
    runCommand(['serve', '--state', join(dir, 'cached'), '--listen', listen]),
    runCommand(['serve', '--state', join(dir, 's'), '--listen', 'unix:/proc/copse/n']),
  ]);
  for (const { exitCode, stderr } of results) {
    t.equal(exitCode, 1);
    t.match(stderr, /^copse: [^\n]* can't be (?:used|made)[^\n]*\n$/m);
    t.notMatch(stderr, /\n {4}at /);
  }
});
