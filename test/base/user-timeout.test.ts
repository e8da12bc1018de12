/** TCP_USER_TIMEOUT is set on TCP sockets, and on nothing else. What it does is seen in test/regression/silent-link.test.ts. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { native } from '../../src/base/native/loader.js';
import { setUserTimeout } from '../../src/base/user-timeout.js';
import { shortDir } from '../support/short-dir.js';

async function connected(t: Test, address: { path: string } | { host: string; port: number }): Promise<Socket> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(address, resolve));
  const bound = server.address();
  const socket = typeof bound === 'string' ? connect(bound) : connect(bound?.port ?? 0, '127.0.0.1');
  await once(socket, 'connect');
  t.teardown(() => {
    socket.destroy();
    server.close();
  });
  return socket;
}

function descriptorOf(socket: Socket): number {
  return (socket as Socket & { _handle: { fd: number } })._handle.fd;
}

t.test('a TCP socket takes it, a unix socket and a file do not', async (t) => {
  const tcp = await connected(t, { host: '127.0.0.1', port: 0 });
  native.setUserTimeout(descriptorOf(tcp), 4000);
  native.setUserTimeout(descriptorOf(tcp), 0);
  const unix = await connected(t, { path: join(shortDir(t), 'socket') });
  t.throws(() => native.setUserTimeout(descriptorOf(unix), 4000), { code: 'ENOTSUP' });
  t.throws(() => native.setUserTimeout(-1, 4000), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => native.setUserTimeout(2 ** 31 - 1, 4000), { code: 'EBADF' });
});

t.test('a socket that it does not concern stays as it is', async (t) => {
  const unix = await connected(t, { path: join(shortDir(t), 'socket') });
  setUserTimeout(unix, 4000);
  t.equal(unix.destroyed, false);
  unix.destroy();
  t.doesNotThrow(() => setUserTimeout(unix, 4000));
});
