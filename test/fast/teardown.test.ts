/** Workers and processes that end while native threads serve clients: they are waited for, and nothing stays. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { imageBytes } from '../conformance/content.js';
import { enter } from '../conformance/wire/handshake.js';
import type { Session } from '../conformance/wire/session.js';
import { shortDir } from '../support/short-dir.js';
import { until } from '../support/wait.js';
import { readRandomly } from './reader.js';

const bytes = imageBytes();
const subject = new URL('../conformance/server-subject.js', import.meta.url).href;

/** Serves the conformance suite's image in whatever evaluates it. */
const serving = (folder: string): string => `
  const { serve } = await import(${JSON.stringify(subject)});
  const { server, fastCounts } = await serve(${JSON.stringify(folder)}, { fastPath: true });
  await server.listen({ kind: 'unix', path: ${JSON.stringify(join(folder, 's'))} });`;

async function attach(folder: string): Promise<Session> {
  const stream = createConnection({ path: join(folder, 's'), allowHalfOpen: true });
  await new Promise<void>((resolve, reject) => stream.once('connect', resolve).once('error', reject));
  return await enter(stream, 'image/debian', { replies: 'structured' });
}

const laneThreads = (): number =>
  readdirSync('/proc/self/task').filter((task) => {
    try {
      return readFileSync(`/proc/self/task/${task}/comm`, 'utf8').startsWith('copse-lane');
    } catch {
      return false;
    }
  }).length;

t.test('a worker ends under its clients', async (t) => {
  const endOne = async (): Promise<void> => {
    const folder = shortDir(t);
    const source = `import { parentPort } from 'node:worker_threads'; ${serving(folder)} parentPort.postMessage('ready');`;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), { execArgv: [] });
    await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    const sessions = await Promise.all(Array.from({ length: 8 }, () => attach(folder)));
    for (const session of sessions) t.same(await readRandomly(session, bytes, { seed: 1, count: 20 }), []);
    t.equal(laneThreads(), 8);
    // Four read on, two have stopped reading, two say nothing.
    const reading = sessions.slice(0, 4).map((session) => readRandomly(session, bytes, { seed: 2 }).catch(() => []));
    for (const session of sessions.slice(4, 6)) {
      session.bytes.pause();
      for (let index = 0; index < 20; index += 1) session.send({ type: 0, offset: 0, lengthBytes: 1_000_000 });
    }
    await worker.terminate();
    t.same((await Promise.all(reading)).flat(), [], 'what was answered was right');
    for (const session of sessions) {
      session.bytes.resume();
      await session.bytes.rest('the end of a connection whose server is gone');
      session.bytes.destroy();
    }
    await until('no thread serves anybody', () => laneThreads() === 0);
  };
  await endOne();
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  const before = descriptors();
  for (let round = 0; round < 3; round += 1) await endOne();
  await until('no descriptor is left', () => descriptors() <= before);
});

t.test('a process exits under its clients', async (t) => {
  const folder = shortDir(t);
  const source = `${serving(folder)}
    console.log('ready');
    const look = () => fastCounts().answered > 50 ? process.exit(7) : setTimeout(look, 5);
    look();`;
  const child = promisify(execFile)(process.execPath, ['--input-type=module', '-e', source]);
  t.teardown(() => child.child.kill('SIGKILL'));
  const ended = child.then(
    () => 0,
    (error: { code?: number | string; signal?: string }) => error.code ?? error.signal,
  );
  await new Promise((resolve) => child.child.stdout?.once('data', resolve));
  const sessions = await Promise.all([0, 1, 2, 3].map(() => attach(folder)));
  const wrong = await Promise.all(sessions.map((session, index) => readRandomly(session, bytes, { seed: index }).catch(() => [])));
  t.same(wrong.flat(), []);
  t.equal(await ended, 7, 'by itself, not by a signal');
  for (const session of sessions) session.bytes.destroy();
});
