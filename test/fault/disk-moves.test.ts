/**
 * Disks move some 200 times among three real daemons whose links are relays of 50 and 150 ms one way: by writes, by
 * `take`, and since clients leave. What real clients flushed is what all others read, whatever node they attach to.
 *
 * COPSE_SEED repeats the choices.
 */
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { AdminClient } from '../../src/admin/client.js';
import { Random } from '../disk/moves/random.js';
import { SlowRelay } from '../lab/slow-relay.js';
import { until } from '../support/wait.js';
import { Daemon } from './daemon.js';
import { DiskStory, sizeBytes } from './disk-story.js';

const seed = Number(process.env['COPSE_SEED'] ?? randomInt(0x1_0000_0000));
const random = new Random(seed);
const ids = ['A', 'B', 'C'];
const delaysMs = [50, 150];
const diskCount = 20;
const movesEach = 10;

t.test(`COPSE_SEED=${seed}`, { timeout: 600_000 }, async (t) => {
  const relays = await Promise.all(ids.map((_, index) => SlowRelay.start(`127.0.0.${10 + index}`, 0)));
  t.teardown(() => Promise.all(relays.map((relay) => relay.close())));
  const daemons = await Promise.all(ids.map((id, index) => startNode(t, id, relays, index)));
  await Promise.all(daemons.map((daemon) => seesAll(daemon)));
  const names = Array.from({ length: diskCount }, (_, index) => `vm${index}`);
  await create(daemons[0], names);

  const changes = setInterval(() => {
    for (const relay of relays) relay.delayMs = random.pick(delaysMs);
  }, 5000);
  for (const relay of relays) relay.delayMs = random.pick(delaysMs);
  const startMs = performance.now();
  const stories = names.map((name) => new DiskStory(name, daemons, random.fork()));
  const moves = await Promise.all(stories.map((story) => story.play(movesEach))).finally(() => clearInterval(changes));
  const count = moves.reduce((sum, each) => sum + each, 0);
  t.comment(`${count} moves in ${Math.round((performance.now() - startMs) / 1000)} s`);
  t.ok(count >= diskCount * movesEach, `${count} moves`);
  t.same(
    stories.flatMap(({ wrong }) => wrong),
    [],
  );
});

async function startNode(t: Test, id: string, relays: readonly SlowRelay[], index: number): Promise<Daemon> {
  const own = relays[index];
  const flags = ['--node', id, '--address', own?.address ?? '', '--cluster', 'moves'];
  for (const { address } of relays) flags.push('--peer', address);
  return Daemon.start(t, { images: {}, tcp: true, flags, nodeLines: [`listen = "tcp:${own?.target}"`] });
}

async function seesAll(daemon: Daemon): Promise<void> {
  await until('all nodes', async () => {
    const { members } = JSON.parse((await daemon.api('GET', '/v1/cluster')).body) as { members: { state: string }[] };
    return members.filter(({ state }) => state === 'up' || state === 'self').length === ids.length;
  });
}

async function create(daemon: Daemon | undefined, names: readonly string[]): Promise<void> {
  const admin = new AdminClient({ kind: 'unix', path: join(daemon?.folder ?? '', 'admin.sock') });
  for (const name of names) await admin.disks.create({ name, sizeBytes });
  await admin.close();
}
