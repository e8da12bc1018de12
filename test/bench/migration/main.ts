/**
 * `npm run bench:migration`: a VM that writes is moved between two hosts, with its disk on a shared NBD server, on Copse, and copied by QEMU, in turns. Prints a
 * table and keeps it.
 *
 * Exit code: 0 whatever the figures are, 1 when a migration failed (the others are reported all the same), 2 on wrong usage.
 */

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CopseError, errorMessage } from '../../../src/base/error.js';
import { foreignErrorCode } from '../../../src/base/error-code.js';
import { Lifecycle } from '../../../src/base/lifecycle.js';
import { MiB } from '../../../src/base/size.js';
import { Lab } from '../../lab/lab.js';
import { markdownTable, wrapped } from '../../support/doc-section.js';
import { baseImage, imageFile } from '../harness/image-file.js';
import { describeMachine, type Machine } from '../harness/machine.js';
import { benchCacheDir } from '../harness/place.js';
import { publish } from '../harness/publish.js';
import { terminalTable } from '../harness/report.js';
import { FarOrigin } from '../storm/lab/origin.js';
import { makeWorkDir } from '../storm/lab/work-dir.js';
import type { MigrationContext, Way } from './context.js';
import { buildGuest } from './lab/guest.js';
import { type MigrationOptions, parseMigrationOptions, usage } from './option.js';
import { type Round, rowHead, rows, runHead, runRows } from './result.js';
import { type Migration, migrate } from './run.js';
import { copseDisks } from './way/copse.js';
import { driveMirror } from './way/mirror.js';
import { sharedServer } from './way/shared.js';

const makers = { shared: sharedServer, copse: copseDisks, mirror: driveMirror };
const say = (text: string): void => console.error(`migration: ${text}`);

async function prepare(parts: Lifecycle, options: MigrationOptions): Promise<MigrationContext> {
  const unavailable = await Lab.unavailable();
  if (unavailable !== undefined) throw new CopseError(foreignErrorCode('ERR_PROGRAM'), `no lab here: ${unavailable}`);
  const cacheDir = benchCacheDir();
  say('preparing the guest and the images (once)');
  const guest = await buildGuest(join(cacheDir, 'migration'));
  const originDir = join(cacheDir, 'origin');
  const base = await baseImage(originDir, 'sparse');
  const dirtyBytes = options.overlayMiB * MiB;
  const dirty = await imageFile(originDir, { name: `dirty-${options.overlayMiB}.raw`, sizeBytes: dirtyBytes, dataBytes: dirtyBytes });
  const lab = parts.own(await Lab.start({ hostCount: 3, hostBitsPerSecond: options.bitsPerSecond, originLatencyMs: 1 }));
  const [source, destination, third] = lab.hosts;
  if (source === undefined || destination === undefined || third === undefined) throw new Error('the lab has three hosts');
  const { path: workDir } = parts.own(await makeWorkDir(cacheDir));
  const origin = parts.own(await FarOrigin.start(lab, join(workDir, 'nginx'), originDir));
  return { rounds: options.rounds, workDir, lab, source, destination, third, origin, guest, base, dirty, say };
}

async function runRounds(context: MigrationContext, ways: readonly Way[]): Promise<Round[]> {
  const rounds: Round[] = [];
  for (let index = 0; index < context.rounds; index += 1) {
    const round: Partial<Record<Migration['way'], Migration>> = {};
    for (const way of ways) {
      say(`round ${index + 1} of ${context.rounds}: ${way.title}`);
      try {
        const result = await migrate(context, way);
        round[way.name] = result;
        say(JSON.stringify(result));
      } catch (error) {
        process.exitCode = 1;
        say(`${way.name} FAILED: ${errorMessage(error)}`);
      }
    }
    rounds.push(round);
  }
  return rounds;
}

type Table = (head: string[], rows: string[][]) => string;

async function keep(machine: Machine, options: MigrationOptions, rounds: readonly Round[], text: (table: Table) => string): Promise<void> {
  const json = JSON.stringify({ machine, options, rounds }, undefined, 1);
  const dir = join(benchCacheDir(), 'results');
  await mkdir(dir, { recursive: true });
  const base = join(dir, `migration-${machine.date.replaceAll(':', '-')}`);
  await writeFile(`${base}.json`, json);
  await writeFile(`${base}.md`, `${text(markdownTable)}\n`);
  if (options.jsonPath !== undefined) await writeFile(options.jsonPath, json);
  console.log(`\n${text(terminalTable)}`);
  console.log(`\n${machine.cpu}, ${machine.memory}, Linux ${machine.kernel}, Node ${machine.node}, commit ${machine.commit}`);
  console.log(`results: ${base}.json and ${base}.md`);
}

async function document(machine: Machine, options: MigrationOptions, text: string): Promise<void> {
  const { nbdkit, qemu } = machine.programs;
  const where = `${machine.cpu}, ${machine.memory}, Linux ${machine.kernel}, Node ${machine.node}; ${nbdkit}, ${qemu}`;
  const when = `\`npm run bench:migration\`, commit ${machine.commit}, ${machine.date.slice(0, 10)}, ${options.rounds} rounds, ${options.bitsPerSecond / 1e6} Mbit/s`;
  await publish('migration', `${wrapped(`${when}. ${where}.`)}\n\n${text}`);
}

async function main(): Promise<void> {
  const options = parseMigrationOptions(process.argv.slice(2));
  if (options.help) {
    process.stdout.write(usage);
    return;
  }
  const parts = new Lifecycle();
  let rounds: Round[];
  const titles = new Map<Migration['way'], string>();
  let overlayBytes: number;
  try {
    const context = await prepare(parts, options);
    overlayBytes = context.dirty.dataBytes;
    const ways: Way[] = [];
    for (const name of options.ways) ways.push(parts.own(await makers[name](context)));
    for (const { name, title } of ways) titles.set(name, title);
    rounds = await runRounds(context, ways);
  } finally {
    await parts.close();
  }
  const text = (table: Table): string =>
    `${table(rowHead, rows(rounds, overlayBytes))}\n\nMigrations, medians\n\n${table(runHead, runRows(rounds, titles))}`;
  const machine = await describeMachine();
  await keep(machine, options, rounds, text);
  if (options.doc) await document(machine, options, text(markdownTable));
}

// On ^C: children end with this process, execa sees to that on exit; files and namespaces go in exit hooks.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
try {
  await main();
} catch (error) {
  console.error(`migration: ${errorMessage(error)}`);
  process.exitCode = error instanceof CopseError && error.code === 'ERR_OPTION' ? 2 : 1;
}
