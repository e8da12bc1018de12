import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';
import { Secret } from '../../src/base/secret.js';
import { HttpOrigin, pinHttp } from '../../src/origin/http/http.js';
import { bufferSink } from '../../src/origin/sink.js';
import { scriptedServer } from './http-server.js';

t.test('a server is trusted by the authority that the configuration names, and by no other', async (t) => {
  const dir = t.testdir({ 'san.cnf': 'subjectAltName=IP:127.0.0.1\n' });
  const openssl = (...options: string[]) => execa('openssl', options, { cwd: dir });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=Test authority');
  await openssl('req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=127.0.0.1');
  await openssl(
    'x509',
    '-req',
    '-in',
    'server.csr',
    '-CA',
    'ca.pem',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-out',
    'server.pem',
    '-days',
    '2',
    '-extfile',
    'san.cnf',
  );

  const content = randomBytes(50_000);
  const server = await scriptedServer(content, { key: readFileSync(join(dir, 'server.key')), cert: readFileSync(join(dir, 'server.pem')) });
  t.teardown(() => server.close());
  await t.rejects(pinHttp(server.url, {}), { code: 'ERR_ORIGIN_REFUSED' });
  await t.rejects(pinHttp(server.url, { credentials: [{ urlPrefix: server.url, caFile: join(dir, 'none.pem') }] }), {
    code: 'ERR_ORIGIN_REFUSED',
  });
  const byName = server.url.replace('127.0.0.1', 'localhost');
  await t.rejects(pinHttp(byName, { credentials: [{ urlPrefix: byName, caFile: join(dir, 'ca.pem') }] }), { code: 'ERR_ORIGIN_REFUSED' });

  const credentials = [{ urlPrefix: server.url, caFile: join(dir, 'ca.pem'), bearer: new Secret('token') }];
  const origin = new HttpOrigin(server.url, await pinHttp(server.url, { credentials }), { credentials });
  t.teardown(() => origin.close());
  const target = Buffer.alloc(40_000);
  await origin.read(5, 40_000, bufferSink(target));
  t.ok(target.equals(content.subarray(5, 40_005)));
  t.equal(server.requests.at(-1)?.headers.authorization, 'Bearer token');
});
