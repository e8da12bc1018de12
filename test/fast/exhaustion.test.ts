/** No descriptors left, and a thousand clients that say nothing. */
import { readdirSync } from 'node:fs';
import { execa } from 'execa';
import t from 'tap';
import { pattern } from '../conformance/content.js';
import type { Session } from '../conformance/wire/session.js';
import { until } from '../support/wait.js';
import { readRandomly } from './reader.js';
import { fastConnections, servedName, startWarm } from './served-image.js';

const bytes = pattern(2 * 1024 * 1024, 111);

t.test('without descriptors those who are there are served, and others again when there are some', async (t) => {
  const daemon = await startWarm(t, bytes);
  const bystander = await daemon.attach(servedName);
  t.same(await readRandomly(bystander, bytes, { seed: 1, count: 50 }), []);
  const limit = (count: number): Promise<unknown> => execa('prlimit', [`--pid=${daemon.pid}`, `--nofile=${count}:`]);
  const descriptors = (): number[] => readdirSync(`/proc/${daemon.pid}/fd`).map(Number);
  /** How often there was no descriptor for a connection that was accepted to be handed over. */
  const leftCount = (): number => daemon.stderr.split('served without the fast path').length - 1;
  /** The limit below which so many numbers are free. */
  const leaving = (spare: number): number => {
    const used = new Set(descriptors());
    let most = 0;
    for (let free = 0; free < spare || used.has(most); most += 1) if (!used.has(most)) free += 1;
    return most;
  };
  const idleCount = descriptors().length;
  for (let spare = 0; spare < 4; spare += 1) {
    // Those who leave would leave more than so many.
    await until('the bystander alone', () => descriptors().length <= idleCount);
    const leftBefore = leftCount();
    await limit(leaving(spare));
    // Whoever is not refused waits until there are descriptors again.
    const attaching = Array.from({ length: 8 }, () => daemon.attach(servedName).catch(() => undefined));
    t.same(await readRandomly(bystander, bytes, { seed: spare, count: 200 }), [], 'those who are there are served');
    if (spare > 0) await until('one was accepted, and there is no descriptor for more', () => leftCount() > leftBefore);
    await limit(1024);
    for (const session of await Promise.all(attaching)) {
      if (session === undefined) continue;
      t.same(await readRandomly(session, bytes, { seed: 5, count: 10 }), [], 'and whoever came in');
      session.bytes.destroy();
    }
    await until('a new client', async () => {
      const session = await daemon.attach(servedName).catch(() => undefined);
      if (session === undefined) return false;
      t.same(await readRandomly(session, bytes, { seed: 6, count: 10 }), []);
      await session.disconnect();
      return true;
    });
  }
});

t.test('a thousand idle connections', async (t) => {
  const count = 1000;
  const daemon = await startWarm(t, bytes, { limits: [`connections = ${count + 10}`] });
  const before = daemon.residentBytes();
  const sessions: Session[] = [];
  while (sessions.length < count) sessions.push(...(await Promise.all(Array.from({ length: 20 }, () => daemon.attach(servedName)))));
  await fastConnections(daemon, count);
  const idle = daemon.residentBytes() - before;
  // Each has been busy once.
  let wrong = 0;
  for (const [index, session] of sessions.entries()) {
    const { data } = await session.read(index * 512, 65_536);
    if (!data.equals(bytes.subarray(index * 512, index * 512 + 65_536))) wrong += 1;
  }
  t.equal(wrong, 0);
  const after = daemon.residentBytes() - before;
  t.comment(`${(idle / 2 ** 20).toFixed(1)} MiB for ${count} idle connections, ${(after / 2 ** 20).toFixed(1)} MiB after a read by each`);
  t.ok(after < 160 * 2 ** 20, `${after} bytes`);
  for (const session of sessions) session.bytes.destroy();
  await fastConnections(daemon, 0);
  await until('their threads are gone', () => readdirSync(`/proc/${daemon.pid}/task`).length < 50);
});
