/** Sealing a URL printed the password and the signature in it, with each line of progress and with its errors. */
import { join } from 'node:path';
import t from 'tap';
import { scriptedServer } from '../origin/http-server.js';
import { shortDir } from '../support/short-dir.js';
import { runCommand } from './command.js';

t.test('no output of a command holds the secrets of a URL', async (t) => {
  const server = await scriptedServer(Buffer.alloc(3 * 1024 * 1024, 7));
  t.teardown(() => server.close());
  const url = `${server.url.replace('://', '://me:hush@')}?X-Signature=hush`;
  const dir = shortDir(t);
  const output = join(dir, 'manifest');
  const state = ['--state', join(dir, 'none')];
  const [sealed, gone, unknown, usage, config] = await Promise.all([
    runCommand(['image', 'seal', url, '--output', output]),
    runCommand(['image', 'seal', 'http://me:hush@127.0.0.1:1/x?hush', '--output', output, '--json']),
    runCommand([url]),
    runCommand(['image', 'seal', url, '--chunk-size', url]),
    runCommand(['serve', ...state, '--image', `x=nbds://me:hush@h/x?hush`, '--etcd', url]),
    runCommand(['image', 'add', 'x', 'nbd://me:hush@h:x/x?hush', ...state]),
  ]);
  t.equal(sealed.exitCode, 0, sealed.stderr);
  t.match(sealed.stderr, /^seal http:\/\/127\.0\.0\.1:\d+\/\S*\?…: /m, 'progress was shown');
  t.match(gone.stdout, /ERR_ORIGIN_UNAVAILABLE/);
  for (const { exitCode, stdout, stderr } of [sealed, gone, unknown, usage, config])
    t.notMatch(`${stdout}\n${stderr}`, /hush/, String(exitCode));
});
