/** The first page of a map: read back as written, or worth nothing. */
import { mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import {
  dataFileStamp,
  type MapHeader,
  mapHeaderBytes,
  mapVersion,
  readMapHeader,
  writeMapHeader,
} from '../../../src/cache/store/map-header.js';

const header: MapHeader = { format: 'copse-map', version: mapVersion, sizeBytes: 10 * 2 ** 30, chunkBytes: 262144, recordSeed: 0xffffffff };

t.test('what is written is read, with and without a clean end', async (t) => {
  const path = join(t.testdir({}), 'map');
  for (const written of [header, { ...header, clean: { inode: '18446744073709551615', mtimeNs: '1763800000000000001' } }, header]) {
    writeMapHeader(path, written);
    t.same(readMapHeader(path), written);
  }
  t.equal(statSync(path).size, mapHeaderBytes);
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.equal(readFileSync(path, 'utf8').split('\n')[0], JSON.stringify(header), 'the first line shows it');
});

t.test('the largest header fits its sector', async (t) => {
  const path = join(t.testdir({}), 'map');
  const largest: MapHeader = {
    ...header,
    sizeBytes: Number.MAX_SAFE_INTEGER,
    chunkBytes: Number.MAX_SAFE_INTEGER,
    clean: { inode: String(2n ** 64n - 1n), mtimeNs: String(2n ** 63n - 1n) },
  };
  writeMapHeader(path, largest);
  t.same(readMapHeader(path), largest);
  t.throws(() => writeMapHeader(path, { ...header, clean: { inode: '1'.repeat(600), mtimeNs: '0' } }), { code: 'ERR_MAP_HEADER' });
  t.same(readMapHeader(path), largest, 'what does not fit leaves the file as it was');
});

t.test('the records behind the header stay', async (t) => {
  const path = join(t.testdir({}), 'map');
  writeMapHeader(path, header);
  writeFileSync(path, Buffer.alloc(64, 7), { flag: 'a' });
  writeMapHeader(path, { ...header, recordSeed: 1 });
  t.same(readFileSync(path).subarray(mapHeaderBytes), Buffer.alloc(64, 7));
});

const text = JSON.stringify(header);
const worthless: [string, Buffer | string][] = [
  ['empty', ''],
  ['zeros', Buffer.alloc(mapHeaderBytes)],
  ['an empty first line', `\n${text}\n`],
  ['torn in the middle', text.slice(0, 40)],
  ['torn, then a newline', `${text.slice(0, 40)}\n`],
  ['without its newline', text],
  ['longer than a sector', `${' '.repeat(600)}${text}\n`],
  ['another version', `${JSON.stringify({ ...header, version: mapVersion + 1 })}\n`],
  ['another format', `${JSON.stringify({ ...header, format: 'other' })}\n`],
  ['a field too few', `${JSON.stringify({ ...header, recordSeed: undefined })}\n`],
  ['a negative size', `${JSON.stringify({ ...header, sizeBytes: -1 })}\n`],
  ['a size that is no safe integer', `${text.replace('10737418240', '1e300')}\n`],
  ['chunks of nothing', `${JSON.stringify({ ...header, chunkBytes: 0 })}\n`],
  ['a clean end of another type', `${JSON.stringify({ ...header, clean: true })}\n`],
  ['null', 'null\n'],
  ['bytes of no text', Buffer.concat([Buffer.from([0xff, 0xfe, 0x80]), Buffer.from('\n')])],
];

for (const [name, content] of worthless) {
  t.test(`worth nothing: ${name}`, async (t) => {
    const path = join(t.testdir({}), 'map');
    writeFileSync(path, content);
    t.equal(readMapHeader(path), undefined);
  });
}

t.test('no file is no header, other trouble is an error', async (t) => {
  const folder = t.testdir({});
  t.equal(readMapHeader(join(folder, 'none')), undefined);
  mkdirSync(join(folder, 'folder'));
  t.throws(() => readMapHeader(join(folder, 'folder')), { code: 'EISDIR' });
  t.throws(() => writeMapHeader(join(folder, 'none', 'map'), header), { code: 'ENOENT' });
});

t.test('the stamp of a data file tells size, identity and change', async (t) => {
  const path = join(t.testdir({}), 'data');
  t.equal(dataFileStamp(path, 100), undefined);
  writeFileSync(path, Buffer.alloc(100));
  const stamp = dataFileStamp(path, 100);
  t.type(stamp?.inode, 'string');
  t.same(dataFileStamp(path, 100), stamp);
  t.equal(dataFileStamp(path, 99), undefined);
  truncateSync(path, 101);
  t.equal(dataFileStamp(path, 100), undefined);
});
