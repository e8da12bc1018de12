/**
 * A disk moves to and fro among three nodes over links of 0 to 150 ms one way, by writes, by `take`, and since clients
 * leave; clients come and go at every step. Each byte that they read is compared, and there is never a second owner.
 *
 * COPSE_MOVES says how often it moves in all (10000: some two minutes), COPSE_SEED repeats a run.
 */
import { randomInt } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import t from 'tap';
import type { Result } from './play.js';

const main = fileURLToPath(new URL('./main.js', import.meta.url));
/** Each on a processor of its own. */
const runCount = 2;
const moves = Math.ceil(Number(process.env['COPSE_MOVES'] ?? 1000) / runCount);
const firstSeed = Number(process.env['COPSE_SEED'] ?? randomInt(0x1_0000_0000));

t.jobs = runCount;
const seeds = Array.from({ length: runCount }, (_, index) => firstSeed + index);
for (const seed of seeds) {
  t.test(`${moves} moves, COPSE_SEED=${seed}`, { timeout: 1_800_000 }, async (t) => {
    const startMs = performance.now();
    const { wrong, moveCount, requestCount, virtualMs, recent } = await run(seed);
    const seconds = Math.round((performance.now() - startMs) / 1000);
    t.comment(`${moveCount} moves and ${requestCount} requests in ${seconds} s, ${Math.round(virtualMs / 1000)} s of the nodes`);
    if (wrong.length > 0) t.comment(recent.join('\n'));
    t.same(wrong, [], `COPSE_SEED=${seed} COPSE_MOVES=${moves * runCount}`);
    t.ok(moveCount >= moves);
  });
}
/** One thread for files has them done in the order in which they were asked for, so that a seed repeats the run. */
async function run(seed: number): Promise<Result> {
  const env = { UV_THREADPOOL_SIZE: '1' };
  const { stdout } = await execa(process.execPath, ['--v8-pool-size=0', main, String(seed), String(moves)], { env });
  return JSON.parse(stdout);
}
