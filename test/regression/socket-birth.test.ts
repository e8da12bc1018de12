/** A unix socket was there with the umask's mode before its own was set, and with the process's group: whoever was quick got in. */
import { lstatSync, mkdirSync, readdirSync, rmSync, watch } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';
import { listenOnUnixSocket } from '../../src/base/unix-socket.js';
import { listen } from '../../src/server/listener.js';
import { shortDir } from '../support/short-dir.js';

/** Modes that the path was seen with, each time that something happened in its directory. */
function modesSeen(path: string, dir: string): { modes: Set<string>; close(): void } {
  const modes = new Set<string>();
  const look = (): void => {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat !== undefined) modes.add(`${(stat.mode & 0o777).toString(8)} ${stat.gid}`);
  };
  const watcher = watch(dir, look);
  // Each turn of the event loop in which the listener is not ready yet.
  let looking = true;
  const turn = (): void => {
    look();
    if (looking) setImmediate(turn);
  };
  turn();
  return {
    modes,
    close: () => {
      looking = false;
      watcher.close();
      look();
    },
  };
}

t.test('a socket lies at its path with its own mode and group from the first moment on', async (t) => {
  const mask = process.umask(0);
  t.teardown(() => process.umask(mask));
  const groupId = process.geteuid?.() === 0 ? 54_321 : process.getegid?.();
  for (const [kind, dirMode] of [
    ['shared', 0o755],
    ['long', 0o755],
  ] as const) {
    // By its own name the longest path leaves no room for another directory.
    const base = shortDir(t);
    const dir = join(base, kind === 'long' ? 'd'.repeat(106 - base.length - '/n.sock'.length) : kind);
    mkdirSync(dir, { mode: dirMode });
    const path = join(dir, 'n.sock');
    for (let round = 0; round < 20; round += 1) {
      const seen = modesSeen(path, dir);
      const listener = await listen({ kind: 'unix', path, mode: 0o640, groupId }, (socket) => socket.destroy());
      seen.close();
      t.same([...seen.modes], [`640 ${groupId}`], kind);
      t.same(readdirSync(dir), ['n.sock'], 'and nothing else is left there');
      await listener.close();
      t.same(readdirSync(dir), []);
    }
  }
});

t.test('the directory of a socket may be a mount point', { skip: process.getuid?.() === 0 ? false : 'mounting needs root' }, async (t) => {
  const dir = join(shortDir(t), 'run');
  mkdirSync(dir);
  await execa('mount', ['-t', 'tmpfs', '-o', 'mode=0755', 'none', dir]);
  t.teardown(() => execa('umount', [dir]));
  const listener = await listen({ kind: 'unix', path: join(dir, 'n.sock'), mode: 0o640 }, (socket) => socket.destroy());
  t.same(readdirSync(dir), ['n.sock']);
  await listener.close();
});

t.test('closing takes away no other socket than its own', async (t) => {
  const dir = join(shortDir(t), 'shared');
  mkdirSync(dir, { mode: 0o755 });
  const path = join(dir, 'n.sock');
  const [first, second] = [createServer(), createServer()];
  t.teardown(() => [first, second].map((server) => server.close()));
  const removeFirst = await listenOnUnixSocket(first, { path, mode: 0o600 });
  await t.rejects(listenOnUnixSocket(createServer(), { path, mode: 0o600 }), { code: 'ERR_SOCKET_TAKEN' });
  rmSync(path);
  const removeSecond = await listenOnUnixSocket(second, { path, mode: 0o600 });
  removeFirst();
  t.ok(lstatSync(path).isSocket(), 'it is the second one');
  removeSecond();
  t.notOk(lstatSync(path, { throwIfNoEntry: false }));
});
