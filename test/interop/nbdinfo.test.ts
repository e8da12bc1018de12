/** libnbd's programs: nbdinfo, nbdcopy, nbddump. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { pattern } from '../conformance/content.js';
import { missing, run, serving } from './serving.js';

const { folder, subject, unixUri, tcpUri } = await serving(t);
const { image, file } = subject;
const skip = await missing('nbdinfo', '--version');

t.test('nbdinfo --list names every export', { skip }, async (t) => {
  const { stdout } = await run(t, 'nbdinfo', ['--list', '--json', unixUri('')]);
  const { exports, protocol } = JSON.parse(stdout);
  t.equal(protocol, 'newstyle-fixed');
  t.same(exports.map((entry: { 'export-name': string }) => entry['export-name']).sort(), [file.name, image.name].sort());
});

t.test('nbdinfo --json says what the export is', { skip }, async (t) => {
  for (const uri of [unixUri(image.name), tcpUri(image.name)]) {
    const info = JSON.parse((await run(t, 'nbdinfo', ['--json', uri])).stdout).exports[0];
    t.match(info, {
      'export-name': image.name,
      description: image.description,
      'export-size': image.bytes.length,
      is_read_only: true,
      can_multi_conn: true,
      can_df: true,
      can_cache: true,
      can_flush: true,
      can_trim: false,
      can_zero: false,
      block_size_minimum: 1,
      block_size_maximum: 32 * 1024 * 1024,
    });
    t.ok(info.contexts.includes('base:allocation'));
    t.ok(info.contexts.includes('x-copse:cached'));
  }
});

t.test('nbdinfo --can and --is', { skip }, async (t) => {
  const answers: [string, string, number, number][] = [
    ['--is', 'read-only', 0, 2],
    ['--can', 'write', 2, 0],
    ['--can', 'trim', 2, 0],
    ['--can', 'zero', 2, 0],
    ['--can', 'fast-zero', 2, 0],
    ['--can', 'fua', 2, 0],
    ['--can', 'flush', 0, 0],
    ['--can', 'df', 0, 0],
    ['--can', 'multi-conn', 0, 0],
    ['--can', 'cache', 0, 0],
    ['--is', 'structured-reply', 0, 0],
    ['--is', 'rotational', 2, 2],
    ['--is', 'tls', 2, 2],
  ];
  for (const [verb, what, ofImage, ofFile] of answers) {
    await run(t, 'nbdinfo', [verb, what, unixUri(image.name)], { exitCode: ofImage });
    await run(t, 'nbdinfo', [verb, what, unixUri(file.name)], { exitCode: ofFile });
  }
});

t.test('nbdinfo of an export that does not exist fails and says so', { skip }, async (t) => {
  const { stderr } = await run(t, 'nbdinfo', [unixUri('nothing')], { exitCode: 1 });
  t.match(stderr, /nothing|No such|unknown/i);
});

t.test('nbdcopy copies the image whole, and its hole as a hole; nbdinfo --map then shows it', { skip }, async (t) => {
  const target = join(folder, 'copy');
  await run(t, 'nbdcopy', [unixUri(image.name), target]);
  t.ok((await readFile(target)).equals(image.bytes));
  // What was read is kept a moment later.
  for (let isWhole = false; !isWhole; ) {
    const cached = await run(t, 'nbdinfo', ['--map=x-copse:cached', '--json', unixUri(image.name)]);
    const [first]: { length: number; type: number }[] = JSON.parse(cached.stdout);
    isWhole = first?.type === 1 && first.length === image.bytes.length;
  }
  const { stdout } = await run(t, 'nbdinfo', ['--map', '--json', unixUri(image.name)]);
  const map: { offset: number; length: number; type: number }[] = JSON.parse(stdout);
  t.equal(
    map.reduce((sum, { length }) => sum + length, 0),
    image.bytes.length,
  );
  const hole = map.find(({ offset }) => offset === image.holeStart);
  t.equal(hole?.length, image.holeEnd - image.holeStart);
  t.equal(hole?.type, 3, 'a hole of zeros');
});

t.test('nbdcopy with several connections and in both directions', { skip }, async (t) => {
  const source = join(folder, 'source');
  const bytes = Buffer.concat([pattern(5 * 1024 * 1024, 11), Buffer.alloc(file.sizeBytes - 5 * 1024 * 1024)]);
  await writeFile(source, bytes);
  await run(t, 'nbdcopy', ['--connections=4', '--flush', source, tcpUri(file.name)]);
  const back = join(folder, 'back');
  await run(t, 'nbdcopy', ['--connections=4', tcpUri(file.name), back]);
  t.ok((await readFile(back)).equals(bytes));
  await run(t, 'nbdcopy', [unixUri(image.name), unixUri(file.name)]);
  await run(t, 'nbdcopy', ['--synchronous', unixUri(file.name), back]);
  t.ok((await readFile(back)).subarray(0, image.bytes.length).equals(image.bytes), 'from one export to the other');
});

t.test('nbddump shows bytes', { skip: skip || (await missing('nbddump', '--version')) }, async (t) => {
  const { stdout } = await run(t, 'nbddump', ['--length=16', unixUri(image.name)]);
  const hex = [...image.bytes.subarray(0, 16)].map((byte) => byte.toString(16).padStart(2, '0'));
  t.ok(stdout.replace(/\s+/g, ' ').includes(hex.join(' ')), stdout);
});
