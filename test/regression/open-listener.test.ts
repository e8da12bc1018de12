/**
 * Who could reach the daemon without leave: an NBD socket on all addresses let anybody write disks, the admin API on TCP made every user of
 * the host root, a page could ask it by any name where remote addresses were allowed, and its address on TCP took the unix socket away.
 */
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import t from 'tap';
import { checkAdminAccess } from '../../src/admin/access.js';
import { silentLogger } from '../../src/base/log.js';
import { Secret } from '../../src/base/secret.js';
import { FakeControl } from '../admin/fake-control.js';
import { createAdminServer } from '../admin/serve.js';
import { shortDir } from '../support/short-dir.js';
import { runCommand, startCommand } from './command.js';

const isRoot = process.geteuid?.() === 0;

function get(port: number, headers: Record<string, string>, path = '/v1/status'): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, headers, agent: false }, (answer) => {
      answer.resume();
      answer.on('end', () => resolve(answer.statusCode ?? 0));
    });
    sent.on('error', reject).end();
  });
}

t.test('NBD on an address that others reach is refused without a word for it', async (t) => {
  const dir = shortDir(t);
  const own = ['serve', '--state', join(dir, 's'), '--listen', `unix:${join(dir, 'n')}`];
  const [wildcard, name] = await Promise.all(['0.0.0.0', 'host.example'].map((host) => runCommand([...own, '--listen', `tcp:${host}:0`])));
  for (const result of [wildcard, name]) t.match(result, { exitCode: 2, stderr: /--listen.*--allow-remote/, stdout: '' });
  t.notOk(existsSync(join(dir, 'n')), 'nothing was bound');
});

t.test('both admin listeners at once, and a token for that on TCP', async (t) => {
  const dir = shortDir(t);
  const state = join(dir, 's');
  const tokenFile = join(dir, 'token');
  writeFileSync(tokenFile, 'a token of the admin'.replaceAll(' ', '-'), { mode: 0o600 });
  const listen = ['--listen', `unix:${join(dir, 'n')}`, '--listen', 'tcp:0.0.0.0:0', '--allow-remote'];
  const own = ['serve', '--state', state, ...listen, '--admin', 'tcp:127.0.0.1:0', '--admin-token-file', tokenFile];
  const { child, ended } = startCommand(own);
  t.teardown(() => child.kill('SIGKILL'));
  if (!child.stdout) throw new Error('no stdout');
  const [line] = await once(child.stdout, 'data');
  const [, socket, tcp, port] = /admin unix:(\S+) (tcp:127\.0\.0\.1:(\d+))/.exec(String(line)) ?? [];
  t.equal(socket, join(state, 'admin.sock'), String(line));
  const authorization = 'Bearer a-token-of-the-admin';
  t.equal(await get(Number(port), { authorization }), 200);
  t.equal(await get(Number(port), {}), 401);
  t.equal(await get(Number(port), { authorization: 'Bearer a-token-of-the-admiN' }), 401);
  t.equal(await get(Number(port), {}, '/metrics'), 401);
  const [bySocket, byToken, bare] = await Promise.all([
    runCommand(['status', '--json', '--state', state]),
    runCommand(['status', '--admin', String(tcp)], { env: { COPSE_ADMIN_TOKEN_FILE: tokenFile } }),
    runCommand(['status', '--admin', String(tcp)]),
  ]);
  t.same(JSON.parse(bySocket?.stdout ?? '')['adminListeners'], [`unix:${socket}`, tcp]);
  t.equal(byToken?.exitCode, 0, byToken?.stderr);
  t.match(bare, { exitCode: 1, stderr: /--admin-token-file/ });
  // The terminal's end, and then that of the daemon.
  child.kill('SIGHUP');
  t.equal(await get(Number(port), { authorization }), 200);
  child.kill('SIGTERM');
  t.equal((await ended).exitCode, 0);
  t.same([existsSync(String(socket)), existsSync(join(dir, 'n'))], [false, false], 'no socket is left');
});

t.test('as root the admin API is not on TCP without a token', async (t) => {
  const tcp = [{ kind: 'tcp', host: '127.0.0.1', port: 1 }] as const;
  t.throws(() => checkAdminAccess(tcp, { token: undefined, isRoot: true }), { code: 'ERR_ADMIN_TOKEN' });
  checkAdminAccess(tcp, { token: undefined, isRoot: false });
  checkAdminAccess(tcp, { token: new Secret('x'), isRoot: true });
  checkAdminAccess([{ kind: 'unix', path: '/x' }], { token: undefined, isRoot: true });
  if (!isRoot) return;
  const dir = shortDir(t);
  const own = ['serve', '--state', join(dir, 's'), '--listen', `unix:${join(dir, 'n')}`, '--admin', 'tcp:127.0.0.1:0'];
  t.match(await runCommand(own), { exitCode: 2, stderr: /--admin-token-file/ });
});

t.test('Host is looked at whatever else is allowed', async (t) => {
  const server = createAdminServer(new FakeControl(), { log: silentLogger, allowRemote: true, names: ['copse.example'] });
  t.teardown(() => server.close());
  await server.listen({ kind: 'unix', path: join(shortDir(t), 'a') });
  const bound = await server.listen({ kind: 'tcp', host: '0.0.0.0', port: 0 });
  if (bound.kind !== 'tcp') throw new Error('not TCP');
  const statusOf = (host: string): Promise<number> => get(bound.port, { host });
  t.equal(await statusOf('rebound.example'), 403, 'a name that was made to point here');
  for (const host of ['127.0.0.1', '192.0.2.1:80', '[2001:db8::1]', 'localhost', 'copse.example']) t.equal(await statusOf(host), 200, host);
});
