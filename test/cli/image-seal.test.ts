/** `copse image seal` of files, with no daemon anywhere. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Manifest } from '../../src/manifest/manifest.js';
import { chunkBytes, manifestOf, sampleImage } from '../manifest/sample.js';
import { fakeDaemon, run, runShared } from './run.js';

const image = sampleImage(5 * chunkBytes + 9, [1, 0, 2, 3, 4, 5]);
const { digest } = manifestOf(image);

t.test('a file, by a relative name too: the digest is the last line', async (t) => {
  const cwd = t.testdir();
  writeFileSync(join(cwd, 'a.raw'), image);
  const text = await run(['image', 'seal', 'a.raw', '--chunk-size', '64K'], { cwd });
  t.equal(text.exitCode, 0, text.stderr);
  t.same(text.stdout.split('\n').slice(-1), [digest]);
  t.equal(Manifest.decode(readFileSync(join(cwd, 'a.raw.manifest')), digest).sizeBytes, image.length);
  const json = await run(['image', 'seal', './a.raw', '--chunk-size', '64K', '--output', 'm', '--json'], { cwd });
  t.same(JSON.parse(json.stdout), { doneBytes: image.length, totalBytes: image.length, manifestPath: join(cwd, 'm'), digest });
  t.equal(json.stderr, '');
  t.ok(readFileSync(join(cwd, 'm')).equals(readFileSync(join(cwd, 'a.raw.manifest'))));
});

t.test('wrong use, and what is not there', async (t) => {
  const path = join(t.testdir(), 'a.raw');
  writeFileSync(path, image);
  t.equal((await runShared(['image', 'seal', path, '--chunk-size', '3K'])).exitCode, 2);
  t.equal((await runShared(['image', 'seal', path, '--output', path])).exitCode, 2);
  t.equal((await runShared(['image', 'seal', `${path}.none`])).exitCode, 1);
  const { cli } = await fakeDaemon(t);
  t.equal((await cli('image', 'seal', 'none')).exitCode, 4, 'the daemon is asked for a name');
  t.equal((await cli('image', 'seal', 'debian/12', '--chunk-size', '64K')).exitCode, 2);
});
