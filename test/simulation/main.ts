/**
 * Many runs, or one again.
 *
 * usage: [SIMULATION_SEEDS=N] [SIMULATION_FIRST_SEED=N] node dist/test/simulation/main.js [--seed N --nodes N [--calm]]
 */
import { parseArgs } from 'node:util';
import type { RunOptions } from './profile.js';
import { type RunResult, simulate } from './simulation.js';

const { values } = parseArgs({
  options: { seed: { type: 'string' }, nodes: { type: 'string' }, calm: { type: 'boolean', default: false } },
});

function* planned(): Generator<RunOptions> {
  if (values.seed !== undefined) {
    yield { seed: Number(values.seed), nodeCount: Number(values.nodes ?? 10), isCalm: values.calm };
    return;
  }
  const first = Number(process.env['SIMULATION_FIRST_SEED'] ?? 1);
  const count = Number(process.env['SIMULATION_SEEDS'] ?? 100);
  for (let seed = first; seed < first + count; seed += 1) {
    // Mostly small ones: they are quick, and one node is a larger part of them.
    const nodeCount = seed % 100 === 0 ? 1000 : seed % 10 === 0 ? 50 : seed % 3 === 0 ? 5 : 10;
    yield { seed, nodeCount, isCalm: seed % 7 === 0 };
  }
}

function print(options: RunOptions, result: RunResult): void {
  const { violations, digest, eventCount, excused, counts, hedges, originChunks, uniqueChunks, repeat, story } = result;
  const exceptions = [...excused].map(([why, count]) => `${count} ${why}`).join(', ');
  console.log(
    `seed ${options.seed}, ${options.nodeCount} nodes: ${violations.length === 0 ? 'ok' : 'FAILED'}, ${eventCount} events, origin ${originChunks}/${uniqueChunks}, ` +
      `reads ${counts.guestReads} (${counts.guestErrors} errors, ${counts.guestAborts} left), home ${counts.home}, held ${counts.held}, hedges ${hedges}; ${exceptions || 'no exceptions'}; ${digest.slice(0, 12)}`,
  );
  for (const line of story) console.log(`    ${line}`);
  for (const violation of violations.slice(0, 20)) console.log(`  ${violation}`);
  if (violations.length > 0) console.log(`  repeat it: ${repeat}`);
}

let failures = 0;
for (const options of planned()) {
  const result = await simulate(options);
  if (result.violations.length > 0) failures += 1;
  if (result.violations.length > 0 || values.seed !== undefined || process.env['SIMULATION_VERBOSE'] !== undefined) print(options, result);
}
console.log(`${failures} runs failed`);
process.exitCode = failures === 0 ? 0 : 1;
