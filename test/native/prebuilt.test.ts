/** The package with a prebuilt binary, as `npm run prebuilt` packs it, on a machine that has nothing to compile with. */
import { once } from 'node:events';
import { mkdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import t from 'tap';
import { NbdClient } from '../../src/nbd/client/nbd-client.js';
import { shortDir } from '../support/short-dir.js';

/** In the source tree: tsc copies no scripts. Seen from dist/test/native. */
const command = fileURLToPath(new URL('../../../.ci/prebuilt', import.meta.url));
const dir = shortDir(t);
const place = join(dir, 'place');
const installed = join(place, 'node_modules', 'copse');

// All that such a machine can run. The environment is not that of `npm test`, which would tell npm of this checkout.
const programs = join(dir, 'programs');
mkdirSync(programs);
for (const name of ['node', 'npm', 'sh', 'env']) {
  const { stdout } = await execa('sh', ['-c', 'command -v "$0"', name]);
  symlinkSync(realpathSync(stdout), join(programs, name));
}
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => name === 'HOME' || name === 'npm_config_cache'));
const options = { cwd: place, env: { ...env, PATH: programs }, extendEnv: false, reject: false, all: true } as const;

t.before(async () => {
  mkdirSync(place);
  writeFileSync(join(place, 'package.json'), '{}');
  // The loaders that tap gives to each child, whatever its environment, can't read a program without an extension.
  const { stdout } = await execa('env', ['-u', 'NODE_OPTIONS', 'bash', command, dir]);
  const tarball = stdout.split('\n').at(-1)?.split(' ')[0] ?? '';
  const { exitCode, all } = await execa('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', tarball], options);
  if (exitCode !== 0) throw new Error(`the tarball did not install:\n${all}`);
});

t.test('there is no compiler', async (t) => {
  for (const name of ['g++', 'cc', 'make', 'python3']) {
    const { exitCode } = await execa('sh', ['-c', 'command -v "$0"', name], options);
    t.not(exitCode, 0, name);
  }
});

t.test('it serves an image, by the prebuilt binary', async (t) => {
  const content = Buffer.from('a tiny image'.padEnd(4096, '.'));
  const image = join(dir, 'image');
  const socket = join(dir, 'nbd.sock');
  writeFileSync(image, content);
  const addresses = ['--state', join(dir, 'state'), '--listen', `unix:${socket}`, '--admin', `unix:${join(dir, 'admin.sock')}`];
  const daemon = execa('node_modules/.bin/copse', ['serve', '--image', `tiny=${image}`, ...addresses], { ...options, all: false });
  t.teardown(async () => {
    daemon.kill('SIGTERM');
    await daemon;
  });
  const ended = daemon.then(({ stderr }) => Promise.reject(new Error(stderr)));
  const [line] = await Promise.race([once(daemon.stdout, 'data'), ended]);
  t.match(String(line), /^copse: ready/);
  t.match(readFileSync(`/proc/${daemon.pid}/maps`, 'utf8'), join(installed, 'prebuilds'), 'the binary that is loaded');

  const client = await NbdClient.connect(`nbd+unix:///tiny?socket=${socket}`);
  const read = Buffer.alloc(content.length);
  await client.read(0, read.length, {
    data: (piece, offset) => piece.copy(read, offset),
    zeroes: (offset, size) => read.fill(0, offset, offset + size),
  });
  await client.disconnect();
  t.same(read, content);
});

t.test('without a binary that loads, the installation says what is missing', async (t) => {
  rmSync(join(installed, 'prebuilds'), { recursive: true });
  const { exitCode, all } = await execa('npm', ['rebuild', 'copse'], options);
  t.not(exitCode, 0);
  t.match(all, /No native build was found[\s\S]*apt-get install python3 make g\+\+/);
});
