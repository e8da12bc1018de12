/**
 * `npm run bench:storm`: clusters of real daemons in a network of namespaces, booting together by a recorded trace. Prints a table and keeps it.
 *
 * Exit code: 0 whatever the figures are, 1 when a case failed (the others are reported all the same), 2 on wrong usage.
 */

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CopseError, errorMessage } from '../../../src/base/error.js';
import { foreignErrorCode } from '../../../src/base/error-code.js';
import { Lifecycle } from '../../../src/base/lifecycle.js';
import { KiB } from '../../../src/base/size.js';
import { Lab } from '../../lab/lab.js';
import { markdownTable, wrapped } from '../../support/doc-section.js';
import { fullImage } from '../harness/image-file.js';
import { describeMachine, type Machine } from '../harness/machine.js';
import { benchCacheDir } from '../harness/place.js';
import { publish } from '../harness/publish.js';
import { terminalTable } from '../harness/report.js';
import { loadTrace } from '../harness/trace.js';
import { besideNbdkit } from './case/beside-nbdkit.js';
import { economyCase } from './case/economy.js';
import { homeKilled } from './case/home-killed.js';
import { memory } from './case/memory.js';
import { originStopped } from './case/origin-stopped.js';
import { peerChunk } from './case/peer-chunk.js';
import { realBoot } from './case/real-boot.js';
import { scaling } from './case/scaling.js';
import { warm } from './case/warm.js';
import type { StormCase, StormContext, StormResult } from './context.js';
import { FarOrigin } from './lab/origin.js';
import { touchedChunks } from './lab/origin-use.js';
import { ExpectedContent } from './lab/replay-guest.js';
import { makeWorkDir } from './lab/work-dir.js';
import { parseStormOptions, type StormOptions, usage } from './option.js';

const cases: readonly StormCase[] = [economyCase, homeKilled, scaling, besideNbdkit, warm, realBoot, peerChunk, originStopped, memory];

/** For cases that add hosts to a few. */
const minHostCount = 6;
const chunkBytes = 256 * KiB;

type Table = (head: string[], rows: string[][]) => string;

function render(results: readonly StormResult[], table: Table): string {
  const verdict = (met: boolean | undefined): string => (met === undefined ? '' : met ? 'met' : 'missed');
  const rows = results.flatMap((result) => result.rows.map(({ work, measured, wanted, met }) => [work, measured, wanted, verdict(met)]));
  const extras = results.flatMap((result) => result.extras ?? []);
  const parts = [table(['work', 'measured', 'at least', ''], rows)];
  return [...parts, ...extras.map((extra) => `${extra.title}\n\n${table(extra.head, extra.rows)}`)].join('\n\n');
}

function choose(options: StormOptions): readonly StormCase[] {
  if (options.only.length === 0) return cases;
  return options.only.map((name) => {
    const found = cases.find((each) => each.name === name);
    if (found === undefined)
      throw new CopseError('ERR_OPTION', `no case is called "${name}"; there are ${cases.map((each) => each.name).join(', ')}`);
    return found;
  });
}

/** Everything that a case needs; all of it goes with `parts`. */
async function prepare(parts: Lifecycle, options: StormOptions, samples: [string, unknown][]): Promise<StormContext> {
  const unavailable = await Lab.unavailable();
  if (unavailable !== undefined) throw new CopseError(foreignErrorCode('ERR_PROGRAM'), `no lab here: ${unavailable}`);
  const cacheDir = benchCacheDir();
  // The lab first: its sweep ends what still runs in directories of killed storms.
  const lab = parts.own(await Lab.start({ hostCount: Math.max(minHostCount, ...options.hostCounts) }));
  const { path: workDir } = parts.own(await makeWorkDir(cacheDir));
  const originDir = join(cacheDir, 'origin');
  const image = await fullImage(originDir);
  const trace = await loadTrace(options.traceName);
  return {
    rounds: options.rounds,
    hostCounts: options.hostCounts,
    workDir,
    lab,
    origin: parts.own(await FarOrigin.start(lab, join(workDir, 'nginx'), originDir)),
    image,
    trace,
    expected: await ExpectedContent.load(image.path, trace.reads),
    chunkBytes,
    touched: touchedChunks(trace, chunkBytes),
    say: (text) => console.error(`storm: ${text}`),
    keep: (name, sample) => samples.push([name, sample]),
  };
}

async function runCases(options: StormOptions, samples: [string, unknown][]): Promise<Map<string, StormResult>> {
  const chosen = choose(options);
  const parts = new Lifecycle();
  const results = new Map<string, StormResult>();
  try {
    const context = await prepare(parts, options, samples);
    for (const each of chosen) {
      const beganMs = performance.now();
      try {
        const result = await each.run(context);
        results.set(each.name, result);
        console.log(`\n${render([result], terminalTable)}`);
      } catch (error) {
        process.exitCode = 1;
        context.say(`${each.name} FAILED: ${errorMessage(error)}`);
      }
      context.say(`${each.name} took ${Math.round((performance.now() - beganMs) / 1000)} s`);
    }
    return results;
  } finally {
    await parts.close();
  }
}

async function keep(results: ReadonlyMap<string, StormResult>, options: StormOptions, machine: Machine, samples: unknown): Promise<void> {
  const json = JSON.stringify({ machine, options, results: Object.fromEntries(results), samples }, undefined, 1);
  const dir = join(benchCacheDir(), 'results');
  await mkdir(dir, { recursive: true });
  const base = join(dir, `storm-${machine.date.replaceAll(':', '-')}`);
  await writeFile(`${base}.json`, json);
  await writeFile(`${base}.md`, `${render([...results.values()], markdownTable)}\n`);
  if (options.jsonPath !== undefined) await writeFile(options.jsonPath, json);
  console.log(`\n${machine.cpu}, ${machine.memory}, Linux ${machine.kernel}, Node ${machine.node}, commit ${machine.commit}`);
  console.log(`results: ${base}.json and ${base}.md`);
}

async function document(results: ReadonlyMap<string, StormResult>, options: StormOptions, machine: Machine): Promise<void> {
  const where = `${machine.cpu}, ${machine.memory}, Linux ${machine.kernel}, Node ${machine.node}; ${machine.programs['nbdkit']}, ${machine.programs['nginx']}`;
  const when = `\`npm run bench:storm\`, commit ${machine.commit}, ${machine.date.slice(0, 10)}, ${options.rounds} rounds of ${options.traceName}`;
  await publish('storm', `${wrapped(`${when}. ${where}.`)}\n\n${render([...results.values()], markdownTable)}`);
}

async function main(): Promise<void> {
  const options = parseStormOptions(process.argv.slice(2));
  if (options.help || options.list) {
    process.stdout.write(options.help ? usage : `${cases.map((each) => each.name).join('\n')}\n`);
    return;
  }
  const samples: [string, unknown][] = [];
  const results = await runCases(options, samples);
  const machine = await describeMachine();
  await keep(results, options, machine, samples);
  if (options.doc) await document(results, options, machine);
}

// On ^C: children end with this process, execa sees to that on exit; files and namespaces go in exit hooks.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
try {
  await main();
} catch (error) {
  console.error(`storm: ${errorMessage(error)}`);
  process.exitCode = error instanceof CopseError && error.code === 'ERR_OPTION' ? 2 : 1;
}
