import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rename, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';
import { Secret } from '../../src/base/secret.js';
import type { RangeSink } from '../../src/block/sink.js';
import { openOrigin, pinOrigin } from '../../src/origin/open.js';
import { bufferSink } from '../../src/origin/sink.js';
import { until } from '../support/wait.js';

const nowhere: RangeSink = { data: () => {}, zeroes: () => {} };

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

interface Nginx {
  url: string;
  stop(): Promise<void>;
}

/** A real nginx over `dir/www`, which compresses whatever it may and wants a user below /private/. Another try with another port if somebody took one meanwhile. */
async function startNginx(dir: string): Promise<Nginx> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await tryNginx(dir, await freePort());
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
}

async function tryNginx(dir: string, port: number): Promise<Nginx> {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${dir}/${name};`).join(' ');
  await writeFile(join(dir, 'users'), 'me:{PLAIN}secret\n');
  await writeFile(
    join(dir, 'nginx.conf'),
    `${process.getuid?.() === 0 ? 'user root;' : ''} daemon off; worker_processes 1; pid ${dir}/pid; error_log ${dir}/error.log;
     events { worker_connections 64; }
     http { access_log off; ${temporary} gzip on; gzip_types *; gzip_min_length 1;
       server { listen 127.0.0.1:${port}; root ${dir}/www;
         location /private/ { auth_basic images; auth_basic_user_file ${dir}/users; alias ${dir}/www/; }
         location /moved { return 302 http://localhost:${port}/image.raw; } } }`,
  );
  const child = execa('nginx', ['-e', join(dir, 'error.log'), '-p', dir, '-c', join(dir, 'nginx.conf')], {
    reject: false,
    stdin: 'ignore',
  });
  let exited = false;
  const exit = child.then((result) => {
    exited = true;
    return result;
  });
  // It writes the file once it listens: whoever else may do so at that port.
  await until('nginx listens', () => exited || existsSync(join(dir, 'pid')));
  if (exited) throw new Error(`nginx ended at once: ${(await exit).stderr}`);
  return {
    url: `http://127.0.0.1:${port}`,
    stop: async () => {
      child.kill('SIGTERM');
      await exit;
    },
  };
}

t.test('nginx', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'copse-'));
  t.teardown(() => rm(dir, { recursive: true }));
  const content = randomBytes(3_000_000);
  await execa('mkdir', [join(dir, 'www')]);
  const path = join(dir, 'www', 'image.raw');
  await writeFile(path, content);
  const nginx = await startNginx(dir);
  t.teardown(() => nginx.stop());
  const url = `${nginx.url}/image.raw`;

  const identity = await pinOrigin(url);
  t.match(identity, { kind: 'http', sizeBytes: content.length, etag: /^"/ });
  const origin = openOrigin(url, identity);
  t.teardown(() => origin.close());
  await Promise.all(
    Array.from({ length: 40 }, async (_, index) => {
      const target = Buffer.alloc(262_144);
      await origin.read(index * 60_000, target.length, bufferSink(target));
      t.ok(target.equals(content.subarray(index * 60_000, index * 60_000 + target.length)));
    }),
  );

  await t.rejects(pinOrigin(`${nginx.url}/none`), { code: 'ERR_ORIGIN_REFUSED' });
  await t.rejects(pinOrigin(`${nginx.url}/private/image.raw`), { code: 'ERR_ORIGIN_REFUSED' });
  const credentials = [{ urlPrefix: `${nginx.url}/private/`, basic: { user: 'me', password: new Secret('secret') } }];
  t.same(await pinOrigin(`${nginx.url}/private/image.raw`, { credentials }), identity);
  t.same(await pinOrigin(`${nginx.url}/moved`), identity);

  await writeFile(`${path}.new`, content);
  await utimes(`${path}.new`, new Date(), new Date(Date.now() - 60_000));
  await rename(path, `${path}.old`);
  await rename(`${path}.new`, path);
  await t.rejects(origin.read(0, 4096, nowhere), { code: 'ERR_ORIGIN_CHANGED' });
  await truncate(path, 5000);
  await t.rejects(origin.read(2_000_000, 4096, nowhere), { code: 'ERR_ORIGIN_CHANGED' });
  await rename(`${path}.old`, path);
  await origin.read(0, 4096, nowhere);
  await nginx.stop();
  await t.rejects(origin.read(0, 4096, nowhere), { code: 'ERR_ORIGIN_UNAVAILABLE' });
});
