/** Sockets that are in the way, ports that are taken, permissions, and what systemd passes. */
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';
import { type ListenAddress, type Listener, listen } from '../../src/server/listener.js';
import { shortDir } from '../support/short-dir.js';

/** A listener that greets each client; closed with the test. */
async function greet(t: { after(end: () => Promise<void>): void }, address: ListenAddress): Promise<Listener> {
  const listener = await listen(address, hello);
  t.after(() => listener.close());
  return listener;
}

function hello(socket: Socket): void {
  socket.on('error', () => {});
  socket.end('hello');
}

async function greeting(target: { path: string } | { host: string; port: number }): Promise<string> {
  const socket: Socket = connect(target);
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  await once(socket, 'end');
  socket.destroy();
  return text;
}

t.test('a unix socket: made with its directory, gone with the listener', async (t) => {
  const path = join(shortDir(t), 'run', 'copse', 's');
  const listener = await listen({ kind: 'unix', path }, hello);
  t.match(listener.uri, /^nbd\+unix:\/\/\/\?socket=.*s$/);
  t.equal(await greeting({ path }), 'hello');
  await listener.close();
  t.notOk(existsSync(path));
});

t.test('mode and group', async (t) => {
  const folder = shortDir(t);
  const groupId = process.getuid?.() === 0 ? 12_345 : (process.getgid?.() ?? 0);
  await greet(t, { kind: 'unix', path: join(folder, 'a'), mode: 0o660, groupId });
  await greet(t, { kind: 'unix', path: join(folder, 'b'), mode: 0o600 });
  t.equal(statSync(join(folder, 'a')).mode & 0o777, 0o660);
  t.equal(statSync(join(folder, 'a')).gid, groupId);
  t.equal(statSync(join(folder, 'b')).mode & 0o777, 0o600);
});

t.test('a socket that a killed process left behind is replaced', async (t) => {
  const path = join(shortDir(t), 's');
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  await execa(process.execPath, ['-e', script], { reject: false });
  t.ok(existsSync(path), 'it is there');
  await greet(t, { kind: 'unix', path });
  t.equal(await greeting({ path }), 'hello');
});

t.test('a socket that somebody answers on stays theirs', async (t) => {
  const path = join(shortDir(t), 's');
  await greet(t, { kind: 'unix', path });
  await t.rejects(
    listen({ kind: 'unix', path }, () => {}),
    { code: 'ERR_LISTEN' },
  );
  t.equal(await greeting({ path }), 'hello');
});

t.test('what is no socket is left alone', async (t) => {
  const folder = shortDir(t);
  const file = join(folder, 'file');
  writeFileSync(file, 'precious');
  await t.rejects(
    listen({ kind: 'unix', path: file }, () => {}),
    { code: 'ERR_LISTEN' },
  );
  t.equal(readFileSync(file, 'utf8'), 'precious');
  mkdirSync(join(folder, 'dir'));
  await t.rejects(
    listen({ kind: 'unix', path: join(folder, 'dir') }, () => {}),
    { code: 'ERR_LISTEN' },
  );
  await t.rejects(
    listen({ kind: 'unix', path: join(file, 'below') }, () => {}),
    { code: 'ERR_LISTEN' },
  );
});

t.test('a path that is too long for a socket', async (t) => {
  await t.rejects(
    listen({ kind: 'unix', path: join(shortDir(t), 'x'.repeat(120)) }, () => {}),
    { code: 'ERR_LISTEN' },
  );
});

t.test('TCP: the kernel chooses a port; a port in use is refused', async (t) => {
  const listener = await greet(t, { kind: 'tcp', host: '127.0.0.1', port: 0 });
  const port = Number(new URL(listener.uri).port);
  t.ok(port > 0);
  t.equal(await greeting({ host: '127.0.0.1', port }), 'hello');
  await t.rejects(
    listen({ kind: 'tcp', host: '127.0.0.1', port }, () => {}),
    { code: 'ERR_LISTEN' },
  );
  await t.rejects(
    listen({ kind: 'tcp', host: '192.0.2.1', port: 0 }, () => {}),
    { code: 'ERR_LISTEN' },
    'an address that is not ours',
  );
});

t.test('a descriptor that is no socket', async (t) => {
  await t.rejects(
    listen({ kind: 'descriptor', descriptor: 9999, allowRemote: false }, () => {}),
    { code: 'ERR_LISTEN' },
  );
});
