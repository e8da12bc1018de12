/** Cached files that were damaged behind the daemon's back: found by checksums or refused, never served. */
import { closeSync, openSync, readdirSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { pattern } from '../conformance/content.js';
import { differences } from '../support/differences.js';
import { until } from '../support/wait.js';
import { Daemon } from './daemon.js';
import { ScriptedOrigin } from './origin.js';

const bytes = pattern(4 * 1024 * 1024 + 77, 81);
const origin = await ScriptedOrigin.start(t, bytes);

interface CacheFiles {
  data: string;
  map: string;
}

/** The files of each cached content. Which image each belongs to does not matter here: all have the same bytes. */
function cacheFiles(daemon: Daemon): CacheFiles[] {
  const folder = join(daemon.state, 'cache');
  const ids = readdirSync(folder)
    .filter((name) => name.endsWith('.data'))
    .map((name) => name.slice(0, -'.data'.length))
    .sort();
  return ids.map((id) => ({ data: join(folder, `${id}.data`), map: join(folder, `${id}.map`) }));
}

function overwrite(path: string, at: number, garbage: Buffer): void {
  const descriptor = openSync(path, 'r+');
  writeSync(descriptor, garbage, 0, garbage.length, at);
  closeSync(descriptor);
}

/** Reads are answered before what they brought is stored: a store must not mend the damage, nor a kill forestall it. */
async function stored(daemon: Daemon, name: string): Promise<void> {
  await until(`all of ${name} in the cache`, async () => {
    const { cache } = (await daemon.imageStatus(name)) as { cache: { cachedBytes: number } };
    return cache.cachedBytes === bytes.length;
  });
}

const damages: [string, (files: CacheFiles) => void][] = [
  ['a byte of data', ({ data }) => overwrite(data, 1_000_000, Buffer.from([bytes.readUInt8(1_000_000) ^ 0xff]))],
  ['a page of data', ({ data }) => overwrite(data, 2_000_000, Buffer.alloc(4096))],
  ['the data file, cut short', ({ data }) => truncateSync(data, 1_000_000)],
  ['the data file, grown', ({ data }) => truncateSync(data, 9_000_000)],
  ['the data file, gone', ({ data }) => rmSync(data)],
  ['the map, cut in its records', ({ map }) => truncateSync(map, statSync(map).size - 100)],
  ['the map, cut in its header', ({ map }) => truncateSync(map, 100)],
  ['the map, empty', ({ map }) => truncateSync(map, 0)],
  ['the map, gone', ({ map }) => rmSync(map)],
  ['records of the map', ({ map }) => overwrite(map, 4096 + 64, pattern(200, 5))],
  ['the header of the map', ({ map }) => overwrite(map, 0, pattern(512, 6))],
  ['all of the map', ({ map }) => writeFileSync(map, pattern(8000, 7))],
];

for (const end of ['kill', 'stop'] as const) {
  t.test(`damage of every kind while the daemon is down, after ${end}`, async (t) => {
    const names = damages.map((_, index) => `image-${index}`);
    const daemon = await Daemon.start(t, { images: Object.fromEntries(names.map((name) => [name, `${origin.url}?${name}`])) });
    for (const name of names) t.same(await differences(await daemon.attach(name), bytes), []);
    for (const name of names) await stored(daemon, name);
    await daemon[end]();
    const files = cacheFiles(daemon);
    t.equal(files.length, damages.length);
    damages.forEach(([, damage], index) => {
      const file = files[index];
      if (file !== undefined) damage(file);
    });
    const sentBytes = origin.sentBytes;
    await daemon.start();
    for (const name of names) t.same(await differences(await daemon.attach(name), bytes), [], `${name} is right`);
    const fetched = origin.sentBytes - sentBytes;
    t.ok(fetched > bytes.length, 'what was damaged is fetched anew');
    t.ok(fetched < damages.length * bytes.length, 'and not everything');
  });
}

t.test(
  'a data file that was damaged with its time set back is noticed after a kill; verify drops what is damaged under a running daemon',
  async (t) => {
    const daemon = await Daemon.start(t, { images: { image: origin.url } });
    t.same(await differences(await daemon.attach('image'), bytes), []);
    await stored(daemon, 'image');
    await daemon.kill();
    const path = cacheFiles(daemon)[0]?.data ?? '';
    const { atime, mtime } = statSync(path);
    overwrite(path, 3_000_000, Buffer.alloc(100));
    utimesSync(path, atime, mtime);
    await daemon.start();
    t.same(await differences(await daemon.attach('image'), bytes), []);
    await stored(daemon, 'image');
    overwrite(path, 500_000, Buffer.alloc(100));
    const { stdout } = await daemon.copse('image', 'verify', 'image', '--json');
    t.match(stdout, /droppedBytes.{1,4}65536/);
    t.same(await differences(await daemon.attach('image'), bytes), [], 'and what verify dropped comes anew');
  },
);
