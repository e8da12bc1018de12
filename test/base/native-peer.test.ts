import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { native } from '../../src/base/native/loader.js';

/** The number of a socket's descriptor, as the fast path takes it. */
function descriptorOf(socket: Socket): number {
  const handle: unknown = Reflect.get(socket, '_handle');
  const descriptor: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined;
  if (typeof descriptor !== 'number') throw new Error('no descriptor');
  return descriptor;
}

/** Short, as the path of a socket must be. */
function socketPath(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'copse-peer-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  return join(directory, 's');
}

async function serve(t: Test, where: string | number): Promise<Server> {
  // Nothing is read, so the end of a peer closes nothing here.
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.listen(where);
  await once(server, 'listening');
  t.teardown(() => server.close());
  return server;
}

t.test('this process is its own peer', async (t) => {
  const path = socketPath(t);
  const server = await serve(t, path);
  const client = connect(path);
  const [accepted] = (await once(server, 'connection')) as [Socket];
  const own = { pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() };
  t.same(native.peerCredentials(descriptorOf(accepted)), own);
  t.same(native.peerCredentials(descriptorOf(client)), own);
  client.destroy();
  accepted.destroy();
});

t.test('another process is another peer, and keeps its name after its end', async (t) => {
  const path = socketPath(t);
  const server = await serve(t, path);
  const child = spawn(process.execPath, ['-e', `require('node:net').connect(${JSON.stringify(path)})`]);
  const [accepted] = (await once(server, 'connection')) as [Socket];
  const descriptor = descriptorOf(accepted);
  t.equal(native.peerCredentials(descriptor).pid, child.pid);
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
  t.equal(native.peerCredentials(descriptor).pid, child.pid);
  accepted.destroy();
});

t.test('what is no unix socket has no peer', async (t) => {
  const server = await serve(t, 0);
  const address = server.address();
  const client = connect(typeof address === 'object' && address !== null ? address.port : 0, '127.0.0.1');
  const [accepted] = (await once(server, 'connection')) as [Socket];
  t.throws(() => native.peerCredentials(descriptorOf(accepted)), { code: 'ENOTSUP' }, 'the kernel would make one up');
  client.destroy();
  accepted.destroy();
  t.throws(() => native.peerCredentials(openSync(`${t.testdir({ file: '' })}/file`, 'r')), { code: 'ENOTSOCK' });
  t.throws(() => native.peerCredentials(2 ** 30), { code: 'EBADF' });
  t.throws(() => native.peerCredentials(-1), { code: 'ERR_OUT_OF_RANGE' });
});

t.test('a pidfd of the process that connected says when it ends', async (t) => {
  const path = socketPath(t);
  const server = await serve(t, path);
  const child = spawn(process.execPath, ['-e', `require('node:net').connect(${JSON.stringify(path)})`]);
  const [accepted] = (await once(server, 'connection')) as [Socket];
  const pidfd = native.openPeerProcess(descriptorOf(accepted));
  t.equal(native.hasProcessEnded(pidfd), false);
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
  t.equal(native.hasProcessEnded(pidfd), true);
  closeSync(pidfd);
  accepted.destroy();
  t.throws(() => native.hasProcessEnded(pidfd), { code: 'EBADF' });
  t.throws(() => native.openPeerProcess(openSync(`${t.testdir({ file: '' })}/file`, 'r')), { code: 'ENOTSOCK' });
  t.throws(() => native.openPeerProcess(2 ** 30), { code: 'EBADF' });
});
