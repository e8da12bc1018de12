/** A cache much smaller than what is read: concurrent readers get right bytes while chunks come and go under them, and the budget holds. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { pattern } from '../conformance/content.js';
import type { Session } from '../conformance/wire/session.js';
import { until } from '../support/wait.js';
import { Daemon } from './daemon.js';
import { ScriptedOrigin } from './origin.js';

const mebibyte = 1024 * 1024;
const first = pattern(16 * mebibyte, 51);
const second = pattern(12 * mebibyte + 333, 52);

/** Allocated bytes of each file below the folder. */
function allocations(folder: string): number[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => (statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.blocks ?? 0) * 512);
}

/** Of all files together at one moment; `undefined`: they are looked at one after the other, and did not stand still meanwhile. */
function allocatedBytes(folder: string): number | undefined {
  const [before, after] = [allocations(folder), allocations(folder)];
  if (before.length !== after.length || before.some((bytes, index) => bytes !== after[index])) return undefined;
  return after.reduce((sum, bytes) => sum + bytes, 0);
}

/** Random reads, 16 in flight; returns what was wrong. */
async function reader(session: Session, expected: Buffer, seed: number, count: number): Promise<string[]> {
  const wrong: string[] = [];
  let state = seed;
  const random = (limit: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  const flying: { cookie: bigint; offset: number; lengthBytes: number }[] = [];
  for (let sent = 0; sent < count || flying.length > 0; ) {
    while (flying.length < 16 && sent < count) {
      const lengthBytes = 1 + random(random(4) === 0 ? 300_000 : 8192);
      const offset = random(expected.length - lengthBytes);
      flying.push({ cookie: session.send({ type: 0, offset, lengthBytes }), offset, lengthBytes });
      sent += 1;
    }
    const next = flying.shift();
    if (next === undefined) break;
    const answer = await session.answer(next.cookie);
    if (answer.error !== 0) wrong.push(`${next.lengthBytes} at ${next.offset}: error ${answer.error} ${answer.message}`);
    else if (!answer.data.equals(expected.subarray(next.offset, next.offset + next.lengthBytes)))
      wrong.push(`${next.lengthBytes} at ${next.offset}`);
  }
  return wrong;
}

t.test('eviction under load', async (t) => {
  const origins = [await ScriptedOrigin.start(t, first), await ScriptedOrigin.start(t, second)] as const;
  const daemon = await Daemon.start(t, {
    images: { first: origins[0].url, second: origins[1].url },
    cacheSize: '4M',
    readahead: '1M',
  });
  const seed = Date.now() % 1_000_000;
  t.comment(`seed ${seed}`);
  let maxBytes = 0;
  const watch = setInterval(() => {
    maxBytes = Math.max(maxBytes, allocatedBytes(daemon.state) ?? 0);
  }, 2);
  t.teardown(() => clearInterval(watch));
  const results = await Promise.all(
    [0, 1, 2, 3].map(async (index) => {
      const session = await daemon.attach(index % 2 === 0 ? 'first' : 'second', { replies: index < 2 ? 'simple' : 'structured' });
      return await reader(session, index % 2 === 0 ? first : second, seed + index, 400);
    }),
  );
  clearInterval(watch);
  await until('the files stand still', () => {
    const bytes = allocatedBytes(daemon.state);
    maxBytes = Math.max(maxBytes, bytes ?? 0);
    return bytes !== undefined;
  });
  t.same(results.flat(), []);
  t.ok(maxBytes > mebibyte, 'it was looked at');
  t.ok(maxBytes < 6 * mebibyte, `${maxBytes} bytes on the disk at most`);
  t.ok(origins[0].sentBytes > first.length, 'chunks went and came again');
  const { stdout } = { stdout: (await daemon.api('GET', '/metrics')).body };
  t.match(stdout, /evict\w*(\{[^}]*\})? [1-9]/, 'the metrics count evictions');
});

t.test('warming an image that the cache can not hold does not call it warm', async (t) => {
  const origin = await ScriptedOrigin.start(t, first);
  const daemon = await Daemon.start(t, { images: { first: origin.url }, cacheSize: '4M' });
  const { body } = await daemon.api('POST', '/v1/images/first/warm');
  const last: unknown = JSON.parse(body.trim().split('\n').at(-1) ?? '');
  t.match(last, { type: 'error', code: 'ERR_CACHE_FULL' });
});
