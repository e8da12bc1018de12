/**
 * With 20 000 images a scrape was 198 MB, took 16 to 24 s, and kept guests waiting for 10 s; each image held two descriptors. The
 * map of a 10 TiB image was read on the JavaScript thread, holes too, for 8.7 s.
 *
 * COPSE_TEST_IMAGES sets the number of images (1500 unless given). How long the JavaScript thread was busy in one piece is printed.
 */
import { readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Daemon } from '../fault/daemon.js';
import { shortDir } from '../support/short-dir.js';
import { imageName, writeImages } from './many-exports.js';

const imageCount = Number(process.env['COPSE_TEST_IMAGES'] ?? 1500);
const hugeBytes = 10 * 2 ** 40;

/** What the daemon's own metrics say of the longest wait since the scrape before. */
function longestBlock(metrics: string): string {
  return /^nodejs_eventloop_lag_max_seconds (\S+)/m.exec(metrics)?.[1] ?? 'unknown';
}

const descriptorCount = (daemon: Daemon): number => readdirSync(`/proc/${daemon.pid}/fd`).length;

t.test('images that nobody uses have neither descriptors nor series', async (t) => {
  const folder = shortDir(t);
  const state = join(folder, 'state');
  writeImages(state, imageCount);
  const origin = join(folder, 'used.raw');
  writeFileSync(origin, Buffer.alloc(256 * 1024, 7));
  const daemon = await Daemon.start(t, { images: { used: `file://${origin}` }, state });
  const before = descriptorCount(daemon);
  t.ok(before < 100, `${before} descriptors`);
  const session = await daemon.attach('used');
  t.equal((await session.read(0, 4096)).data[0], 7);
  const metrics = (await daemon.api('GET', '/metrics')).body;
  t.match(metrics, `copse_images ${imageCount + 1}\n`);
  t.match(metrics, 'copse_export_connections{export="used"} 1\n');
  t.match(metrics, /copse_export_reads_total\{export="used",source="(cache|origin)"\} [1-9]/);
  t.match(metrics, /copse_export_read_seconds_count\{source="(cache|origin)"\} [1-9]/, 'latencies are those of all exports');
  t.notMatch(metrics, imageName(0));
  t.ok(metrics.length < 300_000, `${metrics.length} bytes`);
  const images = JSON.parse((await daemon.api('GET', '/v1/images')).body) as { name: string }[];
  t.same(
    images.map(({ name }) => name),
    [...Array.from({ length: imageCount }, (_, index) => imageName(index)), 'used'],
  );
  t.equal((await daemon.status())['imageCount'], imageCount + 1);
  t.comment(`longest block: ${longestBlock((await daemon.api('GET', '/metrics')).body)} s`);
  t.ok(descriptorCount(daemon) <= before + 10, 'nothing of it opened files');
});

t.test('a 10 TiB image', async (t) => {
  const folder = shortDir(t);
  const origin = join(folder, 'huge.raw');
  writeFileSync(origin, 'begin');
  truncateSync(origin, hugeBytes);
  const daemon = await Daemon.start(t, { images: { huge: `file://${origin}` }, chunkSize: '256K' });
  const session = await daemon.attach('huge');
  t.equal((await session.read(0, 5)).data.toString(), 'begin');
  t.same((await session.read(hugeBytes - 4096, 4096)).data, Buffer.alloc(4096));
  const status = await daemon.imageStatus('huge');
  t.match(status, { sizeBytes: hugeBytes, cache: { unverifiedBytes: 0 } });
  t.comment(`longest block: ${longestBlock((await daemon.api('GET', '/metrics')).body)} s`);
  await daemon.stop();
  await daemon.start();
  const again = await daemon.attach('huge');
  t.equal((await again.read(0, 5)).data.toString(), 'begin');
  t.match(await daemon.imageStatus('huge'), { cache: { unverifiedBytes: 0, dataBytes: 256 * 1024 } }, 'its map was loaded, and trusted');
});
