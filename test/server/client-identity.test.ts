/** Who is at the other end, over real sockets and with real processes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { silentLogger } from '../../src/base/log.js';
import { identifyClient, isClientAlive, parseStat } from '../../src/server/client-identity.js';
import type { ClientIdentity } from '../../src/server/export.js';
import { Server } from '../../src/server/server.js';
import { enter } from '../conformance/wire/handshake.js';
import { shortDir } from '../support/short-dir.js';

const ownStart = parseStat(readFileSync('/proc/self/stat', 'latin1'))?.startTime;

/** Identities of those who connect, in the order in which they do. */
async function listening(t: Test, where: { path: string } | { host: string }): Promise<{ next(): Promise<ClientIdentity>; port: number }> {
  const identities: ClientIdentity[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    identities.push(identifyClient(socket));
    server.emit('identified');
    t.teardown(() => socket.destroy());
  });
  server.listen('path' in where ? where : { ...where, port: 0 });
  await once(server, 'listening');
  t.teardown(() => server.close());
  const next = async (): Promise<ClientIdentity> => {
    if (identities.length === 0) await once(server, 'identified');
    return identities.shift() ?? { key: 'nobody', text: '' };
  };
  const address = server.address();
  return { next, port: typeof address === 'object' && address !== null ? address.port : 0 };
}

function dial(t: Test, to: { path: string } | { host: string; port: number }): Socket {
  const socket = connect(to);
  socket.on('error', () => {});
  t.teardown(() => socket.destroy());
  return socket;
}

/** Another process that connects and stays, under a name that /proc/PID/stat can be misread with. */
async function stranger(t: Test, path: string): Promise<{ child: ChildProcess; pid: number }> {
  const script = `process.title = ') R (2 3'; require('net').connect(${JSON.stringify(path)}).on('error', () => {}); setInterval(() => {}, 1000)`;
  const child = spawn(process.execPath, ['-e', script], { stdio: 'ignore' });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child, 'spawn');
  if (child.pid === undefined) throw new Error('it has no pid');
  return { child, pid: child.pid };
}

t.test('a process on a unix socket', async (t) => {
  const path = join(shortDir(t), 's');
  const { next } = await listening(t, { path });
  dial(t, { path });
  const here = await next();
  t.match(here, { key: `unix:${process.pid}:${ownStart}`, text: new RegExp(`^pid ${process.pid} \\(.+\\)$`) });
  dial(t, { path });
  t.same(await next(), here, 'is the same when it comes again');
  t.equal(isClientAlive(here.key), true);
  t.equal(isClientAlive(`unix:${process.pid}:${Number(ownStart) - 1}`), false, 'an earlier process of that pid is gone');
});

t.test('another process, until it ends', async (t) => {
  const path = join(shortDir(t), 's');
  const { next } = await listening(t, { path });
  const { child, pid } = await stranger(t, path);
  const { key, text } = await next();
  t.match(key, new RegExp(`^unix:${pid}:\\d+$`));
  t.match(text, `pid ${pid} (`);
  t.equal(isClientAlive(key), true);
  child.kill('SIGKILL');
  await once(child, 'exit');
  t.equal(isClientAlive(key), false);
});

t.test('hosts over TCP: by address, without the port', async (t) => {
  const { next, port } = await listening(t, { host: '::' });
  dial(t, { host: '127.0.0.1', port });
  const first = await next();
  t.match(first, { key: 'tcp:127.0.0.1', text: /^127\.0\.0\.1:\d+$/ });
  dial(t, { host: '127.0.0.1', port });
  const second = await next();
  t.equal(second.key, first.key);
  t.not(second.text, first.text, 'people see the port');
  dial(t, { host: '::1', port });
  t.match(await next(), { key: 'tcp:::1', text: /^\[::1\]:\d+$/ });
  t.equal(isClientAlive(first.key), undefined, 'nobody can tell');
});

t.test('what is no socket, or one no more', async (t) => {
  const { Socket: Plain } = await import('node:net');
  t.equal(identifyClient(new Plain()).key, 'unknown');
  t.equal(isClientAlive('unknown'), undefined);
  t.equal(isClientAlive('unix:1:'), undefined);
});

t.test('names of commands', async (t) => {
  const rest = 'S 1 7 7 0 -1 4194304 1 0 0 0 1 2 0 0 20 0 3 0 98765 1000 10';
  t.match(parseStat(`7 (qemu-system-x86) ${rest}`), { command: 'qemu-system-x86', state: 'S', startTime: '98765' });
  t.match(parseStat(`7 (a) Z 1 (b c)) ${rest}\n`), { command: 'a) Z 1 (b c)', state: 'S', startTime: '98765' });
  for (const text of ['', '7', '7 (x', '7 (x) S 1', `7 ${rest}`]) t.equal(parseStat(text), undefined, text);
});

t.test('a server tells its directory who attaches', async (t) => {
  const path = join(shortDir(t), 's');
  const clients: ClientIdentity[] = [];
  const server = new Server({
    directory: {
      list: () => [],
      open: async (_name, client) => {
        clients.push(client);
        return undefined;
      },
    },
    limits: {
      connectionCount: 4,
      handshakeTimeoutMs: 60_000,
      requestsPerConnection: 4,
      bytesPerConnection: 2 ** 20,
      requestMemoryBytes: 2 ** 20,
    },
    log: silentLogger,
  });
  await server.listen({ kind: 'unix', path });
  t.teardown(() => server.stop(0));
  const socket = dial(t, { path });
  await t.rejects(enter(socket, 'x'));
  t.match(clients[0]?.key, `unix:${process.pid}:`);
});
