/** A process that writes to a disk is killed at any moment, again and again: what was answered is there, flushed or not, and what was under way is old or new, sector by sector. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';
import { DiskHistory } from './disk-history.js';
import { RecordKind } from './disk-log.js';
import { DiskPlace } from './disk-place.js';
import { randomNumbers } from './disk-workload.js';

const roundCount = 8;
const firstSeed = Number(process.env['COPSE_SEED'] ?? Math.floor(Math.random() * 1e6));

t.test(`killed ${roundCount} times; COPSE_SEED=${firstSeed}`, async (t) => {
  const random = randomNumbers(firstSeed);
  const place = await DiskPlace.make(t.testdir());
  let content = await place.content();
  let underWayCount = 0;
  for (let round = 0; round < roundCount; round += 1) {
    const seed = firstSeed + round;
    const { path, argument } = place.child(content, { seed, operationCount: 1e9, callerCount: 1 + random(6) });
    const child = spawn(process.execPath, [path, argument], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    const answers = 1 + random(random(2) === 0 ? 30 : 600);
    let seen = 0;
    child.stdout.on('data', (piece: Buffer) => {
      seen += piece.length;
      if (seen >= answers) child.kill('SIGKILL');
    });
    const [code, signal] = (await ended) as [number | null, string | null];
    if (signal !== 'SIGKILL') throw new Error(`round ${round}: the child ended by itself: ${code} ${signal}`);
    const records = place.log();
    const before = content;
    content = await place.content();
    const history = new DiskHistory(before, records, seed);
    const wrong = history.violations(content, records.length);
    t.same(wrong, [], `round ${round}: ${records.length} records`);
    t.equal(history.lost(content), 0, `round ${round}: what was answered is there`);
    const count = (...kinds: number[]): number => records.filter(({ kind }) => kinds.includes(kind)).length;
    underWayCount += count(RecordKind.issued) - count(RecordKind.done, RecordKind.refused);
  }
  t.ok(underWayCount > 0, `${underWayCount} requests were under way: the kills came in time`);
});
