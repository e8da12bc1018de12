/** As a service: sockets that systemd passes, READY=1, SIGTERM, and the units in examples/systemd. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import t, { type Test } from 'tap';
import { silentLogger } from '../../src/base/log.js';
import { notify, passedDescriptors } from '../../src/daemon/systemd.js';
import { enter } from '../conformance/wire/handshake.js';
import type { Session } from '../conformance/wire/session.js';
import { ScriptedOrigin } from '../fault/origin.js';
import { shortDir } from '../support/short-dir.js';
import { content } from './node.js';

const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const unitDir = fileURLToPath(new URL('../../../examples/systemd/', import.meta.url));
const python = '/usr/bin/python3';
const hasPython = existsSync(python) ? false : `no ${python}`;
const bytes = content(1024 * 1024, 5);

/** Prints each datagram that arrives at argv[1]; a leading @ means the abstract namespace. */
const notifySocket = `
import socket, sys
path = sys.argv[1]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind('\\0' + path[1:] if path.startswith('@') else path)
print('bound', flush=True)
while True: print(s.recv(4096).decode(), flush=True)
`;

/** Listens at argv[1] and becomes argv[2:], as systemd starts a service with a socket. */
const activate = `
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.bind(sys.argv[1])
s.listen(16)
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
`;

import { until } from '../support/wait.js';

/** What a service manager's socket was told, in order. */
async function manager(t: Test, path: string): Promise<{ told: string[] }> {
  const child = spawn(python, ['-c', notifySocket, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => end(child));
  const told: string[] = [];
  const lines = createInterface({ input: child.stdout });
  await once(lines, 'line');
  lines.on('line', (line) => told.push(line));
  return { told };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

interface Service {
  child: ChildProcess;
  folder: string;
  socketPath: string;
  ready: string;
}

/** A daemon on a socket that was passed, until it is ready. */
async function service(t: Test, url: string, notifyPath: string, flags: string[] = []): Promise<Service> {
  const folder = shortDir(t);
  const socketPath = join(folder, 's');
  const command = [
    process.execPath,
    main,
    'serve',
    '--state',
    join(folder, 'state'),
    '--image',
    `image=${url}`,
    '--log-level',
    'warn',
    ...flags,
  ];
  const child = spawn(python, ['-c', activate, socketPath, ...command], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NOTIFY_SOCKET: notifyPath, XDG_RUNTIME_DIR: folder },
  });
  t.after(() => end(child));
  if (child.stdout === null) throw new Error('no pipe');
  const exit = once(child, 'exit').then(([code, signal]) => Promise.reject(new Error(`ended with ${code ?? signal} before it was ready`)));
  const [ready] = await Promise.race([once(createInterface({ input: child.stdout }), 'line'), exit]);
  exit.catch(() => {});
  return { child, folder, socketPath, ready };
}

async function attach(path: string): Promise<Session> {
  const socket = connect({ path, allowHalfOpen: true });
  socket.unref();
  await once(socket, 'connect');
  return enter(socket, 'image');
}

for (const kind of ['path', 'abstract'] as const) {
  t.test(`a passed socket is served, the manager (${kind}) is told, SIGTERM drains`, { skip: hasPython }, async (t) => {
    const origin = await ScriptedOrigin.start(t, bytes);
    const notifyPath = kind === 'path' ? join(shortDir(t), 'notify') : `@copse-test-${process.pid}`;
    const { told } = await manager(t, notifyPath);
    const { child, socketPath, ready } = await service(t, origin.url, notifyPath);
    t.match(ready, /^copse: ready nbd\+unix:/);
    t.ok(ready.includes(socketPath), 'on the passed socket');
    t.equal(ready.match(/nbd\+unix:/g)?.length, 1, 'and on no other');
    await until('READY=1', () => told.includes('READY=1'));
    const session = await attach(socketPath);
    t.ok((await session.read(0, 4096)).data.equals(bytes.subarray(0, 4096)));
    // A read is under way when the signal comes.
    origin.hold(t);
    const answer = session.read(512 * 1024, 4096);
    await until('the origin was asked', () => origin.heldCount > 0);
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    await until('STOPPING=1', () => told.includes('STOPPING=1'));
    origin.release();
    t.ok((await answer).data.equals(bytes.subarray(512 * 1024, 512 * 1024 + 4096)), 'it is answered');
    t.same(await exit, [0, null]);
    t.same(told, ['READY=1', 'STOPPING=1']);
    t.ok(existsSync(socketPath), 'the socket is the manager’s: it stays');
  });
}

t.test('addresses of the configuration are served beside the passed socket', { skip: hasPython }, async (t) => {
  const origin = await ScriptedOrigin.start(t, bytes);
  const { child, socketPath, ready } = await service(t, origin.url, '', ['--listen', 'tcp:127.0.0.1:0']);
  t.ok(ready.includes(socketPath));
  t.match(ready, /nbd:\/\/127\.0\.0\.1:\d+/);
  t.ok((await (await attach(socketPath)).read(0, 4096)).data.equals(bytes.subarray(0, 4096)));
  const exit = once(child, 'exit');
  child.kill('SIGINT');
  t.same(await exit, [0, null]);
});

t.test('which descriptors are ours', async (t) => {
  const pid = String(process.pid);
  t.same(passedDescriptors({ LISTEN_PID: pid, LISTEN_FDS: '2' }), [3, 4]);
  t.same(passedDescriptors({ LISTEN_PID: '1', LISTEN_FDS: '2' }), [], "another process's");
  t.same(passedDescriptors({ LISTEN_FDS: '2' }), []);
  t.same(passedDescriptors({ LISTEN_PID: pid, LISTEN_FDS: 'x' }), []);
  t.same(passedDescriptors({ LISTEN_PID: pid, LISTEN_FDS: '0' }), []);
  t.same(passedDescriptors({}), []);
});

t.test('a manager that is not there, or not named, is no trouble', async (t) => {
  t.doesNotThrow(() => notify('READY=1', silentLogger, { NOTIFY_SOCKET: '/nowhere/notify' }));
  t.doesNotThrow(() => notify('READY=1', silentLogger, { NOTIFY_SOCKET: '' }));
  t.doesNotThrow(() => notify('READY=1', silentLogger, {}));
});

const analyze = await execa('systemd-analyze', ['--version'], { reject: false });

t.test(
  'the units are what systemd understands',
  { skip: analyze.failed && 'systemd-analyze is not installed (package systemd)' },
  async (t) => {
    const folder = t.testdir();
    mkdirSync(join(folder, 'units'));
    for (const name of ['copse.service', 'copse.socket']) {
      // Copse and its user are not installed here; anything else that is wrong is the unit's.
      const unit = readFileSync(join(unitDir, name), 'utf8')
        .replace('/usr/bin/copse', process.execPath)
        .replace(/^Documentation=.*\n/m, '')
        .replaceAll('libvirt-qemu', 'root');
      writeFileSync(join(folder, 'units', name), unit);
    }
    const { stderr, exitCode } = await execa(
      'systemd-analyze',
      ['verify', '--man=no', ...['copse.service', 'copse.socket'].map((name) => join(folder, 'units', name))],
      {
        reject: false,
      },
    );
    t.equal(exitCode, 0, stderr);
    t.notMatch(stderr, /copse\.(service|socket)/);
    const security = await execa('systemd-analyze', ['security', '--offline=true', join(folder, 'units', 'copse.service')], {
      reject: false,
    });
    if (!security.failed) t.match(security.stdout, /Overall exposure level for copse\.service: [0-3]\./);
  },
);
