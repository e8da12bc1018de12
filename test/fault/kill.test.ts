/** kill -9 in every phase, then a restart: all bytes are right, and what was cached is not fetched again. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { pattern } from '../conformance/content.js';
import { differences } from '../support/differences.js';
import { until } from '../support/wait.js';
import { Daemon } from './daemon.js';
import { ScriptedOrigin } from './origin.js';

const bytes = pattern(24 * 1024 * 1024 + 500, 41);
// A run of zeros: chunks that exist as a state alone must survive, too.
bytes.fill(0, 5 * 1024 * 1024, 7 * 1024 * 1024);

/** A reader is answered before its bytes are stored; what a kill may not take is what is stored. */
async function stored(daemon: Daemon): Promise<void> {
  await until('all of it in the cache', async () => {
    const { cache } = (await daemon.imageStatus('image')) as { cache: { cachedBytes: number } };
    return cache.cachedBytes === bytes.length;
  });
}

/** Sends reads of 64 KiB over the whole image and doesn't wait. */
async function storm(daemon: Daemon): Promise<{ answered(): number }> {
  const sessions = await Promise.all([0, 1].map(() => daemon.attach('image')));
  sessions.forEach((session, which) => {
    for (let offset = which * 65_536; offset + 65_536 < bytes.length; offset += 2 * 65_536)
      session.send({ type: 0, offset, lengthBytes: 65_536 });
  });
  return { answered: () => sessions.reduce((sum, session) => sum + Math.floor(session.bytes.bufferedBytes / (16 + 65_536)), 0) };
}

t.test('killed in the middle of a storm of cold reads, again and again', async (t) => {
  const origin = await ScriptedOrigin.start(t, bytes);
  const daemon = await Daemon.start(t, { images: { image: origin.url } });
  for (const after of [1, 150]) {
    const { answered } = await storm(daemon);
    await until(`${after} answers`, () => answered() >= after);
    await daemon.kill();
    await daemon.start();
  }
  t.same(await differences(await daemon.attach('image'), bytes), []);
});

t.test('killed when all is cached: nothing is fetched again', async (t) => {
  const origin = await ScriptedOrigin.start(t, bytes);
  const daemon = await Daemon.start(t, { images: { image: origin.url } });
  t.same(await differences(await daemon.attach('image'), bytes), []);
  const fetched = origin.sentBytes;
  t.ok(fetched >= bytes.length - 2 * 1024 * 1024 && fetched <= bytes.length + 1024, `${fetched} bytes for the first time`);
  await stored(daemon);
  await daemon.kill();
  await daemon.start();
  t.same(await differences(await daemon.attach('image'), bytes), []);
  t.ok(origin.sentBytes - fetched < bytes.length / 100, `${origin.sentBytes - fetched} bytes fetched again`);
  await stored(daemon);
  await origin.stop();
  await daemon.kill();
  await daemon.start();
  t.same(await differences(await daemon.attach('image'), bytes), [], 'also without the origin');
});

t.test('killed while it evicts', async (t) => {
  const origin = await ScriptedOrigin.start(t, bytes);
  const daemon = await Daemon.start(t, { images: { image: origin.url }, cacheSize: '4M' });
  for (const after of [200]) {
    const { answered } = await storm(daemon);
    await until(`${after} answers`, () => answered() >= after);
    await daemon.kill();
    await daemon.start();
    t.same(await differences(await daemon.attach('image'), bytes), []);
  }
});

t.test('killed while it starts', async (t) => {
  const origin = await ScriptedOrigin.start(t, bytes.subarray(0, 4 * 1024 * 1024));
  const daemon = await Daemon.start(t, { images: { image: origin.url } });
  await (await daemon.attach('image')).read(0, 1024 * 1024);
  const moments: [string, () => boolean][] = [
    ['the lock', () => readFileSync(join(daemon.state, 'lock'), 'utf8').includes(String(daemon.pid))],
    ['the socket', () => existsSync(daemon.socketPath)],
  ];
  for (const [what, reached] of moments) {
    await daemon.kill();
    rmSync(daemon.socketPath, { force: true });
    const launching = daemon.launch();
    await until(what, reached);
    await daemon.kill();
    await launching;
  }
  await daemon.start();
  t.same(await differences(await daemon.attach('image'), origin.bytes), []);
});
