/**
 * `npm run bench`: Copse beside its peers, in the same run, in turns. Prints a table and keeps it as JSON and Markdown.
 *
 * Exit code: 0 whatever the figures are, 1 when a case failed (the others are reported all the same), 2 on wrong usage.
 */

import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CopseError, errorMessage } from '../../src/base/error.js';
import { Lifecycle } from '../../src/base/lifecycle.js';
import { markdownTable, wrapped } from '../support/doc-section.js';
import { chunkSize } from './case/chunk-size.js';
import { coldRandom } from './case/cold-random.js';
import { coldSequential } from './case/cold-sequential.js';
import { crash } from './case/crash.js';
import { diskCreate } from './case/disk-create.js';
import { diskRead } from './case/disk-read.js';
import { diskWrite } from './case/disk-write.js';
import { fastDisk } from './case/fast-disk.js';
import { fastIdle } from './case/fast-idle.js';
import { fastUncached } from './case/fast-uncached.js';
import { fastUndisturbed } from './case/fast-undisturbed.js';
import { fastTcp, fastTogether, fastUnix } from './case/fast-warm.js';
import { memory } from './case/memory.js';
import { bootReplay } from './case/replay.js';
import { singleFlight } from './case/single-flight.js';
import { warm } from './case/warm.js';
import { type BenchCase, type BenchContext, originLatenciesMs } from './context.js';
import { fullImage, sparseImage } from './harness/image-file.js';
import { describeMachine, type Machine } from './harness/machine.js';
import { HttpOrigin } from './harness/origin.js';
import { benchCacheDir } from './harness/place.js';
import { publish } from './harness/publish.js';
import { type CaseResult, render, terminalTable } from './harness/report.js';
import { type BenchOptions, parseOptions, usage } from './option.js';

const cases: readonly BenchCase[] = [
  coldSequential,
  coldRandom,
  bootReplay,
  warm,
  singleFlight,
  crash,
  memory,
  diskCreate,
  diskWrite,
  diskRead,
  fastUnix,
  fastTogether,
  fastTcp,
  fastDisk,
  fastUncached,
  fastUndisturbed,
  fastIdle,
  chunkSize,
];

function choose(options: BenchOptions): readonly BenchCase[] {
  if (options.only.length === 0) return cases.filter((each) => !each.onRequest);
  return options.only.flatMap((name) => {
    const found = cases.filter((each) => each.name === name || each.name.startsWith(`${name}-`));
    if (found.length === 0) {
      throw new CopseError('ERR_OPTION', `no case is called "${name}"; there are ${cases.map((each) => each.name).join(', ')}`);
    }
    return found;
  });
}

async function runCases(chosen: readonly BenchCase[], options: BenchOptions, cacheDir: string): Promise<Map<string, CaseResult>> {
  const parts = new Lifecycle();
  try {
    const workDir = await mkdtemp(join(cacheDir, 'w'));
    const removeNow = (): void => rmSync(workDir, { recursive: true, force: true });
    process.once('exit', removeNow);
    parts.own({
      close: async () => {
        await rm(workDir, { recursive: true, force: true });
        process.removeListener('exit', removeNow);
      },
    });
    const say = (text: string): void => console.error(`bench: ${text}`);
    say('preparing the images (once)');
    const originDir = join(cacheDir, 'origin');
    const [full, sparse] = [await fullImage(originDir), await sparseImage(originDir)];
    const origin = parts.own(await HttpOrigin.start(join(workDir, 'nginx'), originDir, originLatenciesMs));
    const context: BenchContext = { ...options, workDir, origin, full, sparse, progress: say };
    const results = new Map<string, CaseResult>();
    for (const each of chosen) {
      const startMs = performance.now();
      try {
        const result = await each.run(context);
        results.set(each.name, result);
        console.log(`\n${render([result], terminalTable)}`);
      } catch (error) {
        // What the others measure is kept all the same.
        process.exitCode = 1;
        say(`${each.name} FAILED: ${errorMessage(error)}`);
      }
      say(`${each.name} took ${Math.round((performance.now() - startMs) / 1000)} s`);
    }
    return results;
  } finally {
    await parts.close();
  }
}

async function keep(results: ReadonlyMap<string, CaseResult>, options: BenchOptions, machine: Machine, cacheDir: string): Promise<void> {
  const json = JSON.stringify({ machine, options, results: Object.fromEntries(results) }, undefined, 1);
  const dir = join(cacheDir, 'results');
  await mkdir(dir, { recursive: true });
  const base = join(dir, machine.date.replaceAll(':', '-'));
  await writeFile(`${base}.json`, json);
  await writeFile(`${base}.md`, `${render([...results.values()], markdownTable)}\n`);
  if (options.jsonPath !== undefined) await writeFile(options.jsonPath, json);
  if (results.size > 1) console.log(`\n${render([...results.values()], terminalTable)}`); // one alone was printed already
  console.log(`\n${machine.cpu}, ${machine.memory}, Linux ${machine.kernel}, Node ${machine.node}, commit ${machine.commit}`);
  console.log(`results: ${base}.json and ${base}.md`);
}

/** Publishes each table whose cases all ran. */
async function document(results: ReadonlyMap<string, CaseResult>, options: BenchOptions, machine: Machine): Promise<void> {
  const { nginx, nbdkit, qemu, fio } = machine.programs;
  const where = `${machine.cpu}, ${machine.memory}, Linux ${machine.kernel}, Node ${machine.node}; ${nbdkit}, ${qemu}, ${fio}, ${nginx}`;
  const section = (command: string, chosen: readonly CaseResult[]): string =>
    `${wrapped(`\`${command}\`, commit ${machine.commit}, ${machine.date.slice(0, 10)}, ${options.pairs} rounds. ${where}.`)}\n\n${render(chosen, markdownTable)}`;
  const study = results.get(chunkSize.name);
  const commands = { measured: 'npm run bench', disk: 'npm run bench -- disk', fast: 'npm run bench -- fast' } as const;
  for (const name of ['measured', 'disk', 'fast'] as const) {
    const all = cases.filter((each) => !each.onRequest && (each.section ?? 'measured') === name).map((each) => results.get(each.name));
    const ran = all.filter((result) => result !== undefined);
    if (ran.length === all.length) await publish(name, section(commands[name], ran));
  }
  if (study !== undefined) await publish('chunk-size', section('npm run bench -- chunk-size', [study]));
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options.help || options.list) {
    process.stdout.write(options.help ? usage : `${cases.map((each) => each.name).join('\n')}\n`);
    return 0;
  }
  const chosen = choose(options);
  const cacheDir = benchCacheDir();
  await mkdir(cacheDir, { recursive: true });
  const results = await runCases(chosen, options, cacheDir);
  const machine = await describeMachine();
  await keep(results, options, machine, cacheDir);
  if (options.doc) await document(results, options, machine);
  return 0;
}

// On ^C: children end with this process, execa sees to that on exit; files go in `runCases`' exit hook.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
try {
  const exitCode = await main();
  if (exitCode !== 0) process.exitCode = exitCode;
} catch (error) {
  console.error(`bench: ${errorMessage(error)}`);
  process.exitCode = error instanceof CopseError && error.code === 'ERR_OPTION' ? 2 : 1;
}
