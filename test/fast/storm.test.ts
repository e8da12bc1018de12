/** Hundreds of readers at once while chunks come, go, rot and are served anew after a kill: never a wrong byte. */
import { closeSync, openSync, readdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { pattern } from '../conformance/content.js';
import type { Session } from '../conformance/wire/session.js';
import { Daemon } from '../fault/daemon.js';
import { ScriptedOrigin } from '../fault/origin.js';
import { until } from '../support/wait.js';
import { readRandomly } from './reader.js';

const mebibyte = 1024 * 1024;
// No zeros in it: a hole that is served shows.
const bytes = pattern(10 * mebibyte + 1234, 101);
const readerCount = 200;

async function attachAll(daemon: Daemon): Promise<Session[]> {
  const sessions: Session[] = [];
  for (let index = 0; index < readerCount; index += 1)
    sessions.push(await daemon.attach('image', { replies: (['simple', 'structured', 'extended'] as const)[index % 3] ?? 'simple' }));
  return sessions;
}

async function readAll(sessions: Session[], seed: number, count: number): Promise<string[]> {
  const wrong = await Promise.all(
    sessions.map((session, index) => readRandomly(session, bytes, { seed: seed + index, count, depth: 4, maxBytes: 100_000 })),
  );
  return wrong.flat();
}

t.test('a cache that holds a third of what hundreds read', async (t) => {
  const origin = await ScriptedOrigin.start(t, bytes);
  const daemon = await Daemon.start(t, {
    images: { image: origin.url },
    cacheSize: '4M',
    readahead: '512K',
    fastPath: true,
    limits: ['connections = 400'],
  });
  const seed = Date.now() % 1_000_000;
  t.comment(`seed ${seed}`);
  const sessions = await attachAll(daemon);
  t.same((await readAll(sessions, seed, 15)).slice(0, 5), []);
  const { connections, reads } = await daemon.fastPath();
  t.equal(connections, readerCount);
  t.ok(reads > 50, `${reads} reads natively`);
  t.match((await daemon.api('GET', '/metrics')).body, /evict\w*(\{[^}]*\})? [1-9]/, 'chunks were evicted');
});

t.test('killed, damaged and started again under hundreds', async (t) => {
  const origin = await ScriptedOrigin.start(t, bytes);
  const daemon = await Daemon.start(t, { images: { image: origin.url }, fastPath: true, limits: ['connections = 400'] });
  for (let round = 0; round < 2; round += 1) {
    const sessions = await attachAll(daemon);
    let isOver = false;
    const reading = sessions.map((session, index) =>
      readRandomly(session, bytes, { seed: round * 1000 + index, depth: 4, maxBytes: 100_000, isOver: () => isOver }).catch(
        (error: unknown) => {
          // The end of the daemon is no wrong byte.
          if (!isOver) throw error;
          return [];
        },
      ),
    );
    await until('hundreds read', async () => (await daemon.fastPath()).reads > 300);
    isOver = true;
    await daemon.kill();
    t.same((await Promise.all(reading)).flat().slice(0, 5), []);
    // What was not known to be sound at the end is looked at before it is served.
    const folder = join(daemon.state, 'cache');
    const name = readdirSync(folder).find((file) => file.endsWith('.data')) ?? '';
    const descriptor = openSync(join(folder, name), 'r+');
    for (let at = 100_000; at < bytes.length; at += 700_000) writeSync(descriptor, Buffer.alloc(5000), 0, 5000, at);
    closeSync(descriptor);
    await daemon.start();
  }
  const sessions = await attachAll(daemon);
  t.same((await readAll(sessions, 7, 15)).slice(0, 5), []);
  t.ok((await daemon.fastPath()).reads > 50);
});
