/**
 * `npm run bench:eviction [-- --seeds N --doc]`: what the shipped eviction would miss beside textbook policies, by a replay of recorded boots. No time is measured: the
 * figures are the same on every machine, but for the moments at which the shipped code evicts ahead.
 */
import { parseArgs } from 'node:util';
import { memoryPlace } from '../../support/memory-dir.js';
import { publish } from '../harness/publish.js';
import { loadTrace, type Trace, traceNames } from '../harness/trace.js';
import { buildMix, byPopularity, type Mix } from './mix.js';
import { Clock, Lru, type ReplayPolicy, S3Fifo, Sieve } from './policy.js';
import { type ReplayResult, replayMix } from './replay.js';
import { Shipped } from './shipped.js';

const imageCount = 12;
const bootCount = 90;
/** Of the working set: what the cache holds. */
const shares = [0.1, 0.25, 0.5, 0.75, 0.9];

/** Compared with the shipped one. */
const models: Record<string, (capacity: number) => ReplayPolicy> = {
  LRU: (capacity) => new Lru(capacity),
  CLOCK: (capacity) => new Clock(capacity),
  SIEVE: (capacity) => new Sieve(capacity),
  'S3-FIFO': (capacity) => new S3Fifo(capacity),
  'S3-FIFO, small 25 %': (capacity) => new S3Fifo(capacity, { smallShare: 0.25 }),
};

function mixesOf(traces: readonly Trace[], seed: number): Mix[] {
  const common = { imageCount, bootCount };
  const popular = byPopularity(imageCount, 0.9);
  return [
    { ...common, name: 'boots', choose: popular },
    { ...common, name: 'boots and scans', choose: popular, scanEvery: 6 },
    { ...common, name: 'in turn', choose: (_: () => number, done: number) => Math.round(done * bootCount) % imageCount },
    {
      ...common,
      name: 'shift',
      scanEvery: 15,
      choose: (random: () => number, done: number) => (popular(random) + (done < 0.5 ? 0 : 7)) % imageCount,
    },
  ].map((options) => buildMix(options, traces, seed));
}

async function replayShipped(mix: Mix, capacity: number, parentDir: string): Promise<ReplayResult> {
  const shipped = new Shipped(capacity, mix, parentDir);
  try {
    return await replayMix(mix, shipped);
  } finally {
    await shipped.close();
  }
}

/** Ratios of misses and of fetched chunks to those of the shipped policy, over all replays of a policy. */
interface Ratios {
  misses: number[];
  fetched: number[];
}

function geometricMean(ratios: readonly number[]): number {
  return Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
}

const times = (ratio: number): string => `${ratio.toFixed(2)}×`;
const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

async function study(seedCount: number): Promise<string> {
  const traces = await Promise.all(traceNames.map(loadTrace));
  const parentDir = memoryPlace();
  const names = Object.keys(models);
  const total = new Map<string, Ratios>(names.map((name) => [name, { misses: [], fetched: [] }]));
  const perSeed = Array.from({ length: seedCount }, (_, index) => mixesOf(traces, index + 1));
  const lines: string[] = [];
  for (const [mixIndex, { name: mixName }] of (perSeed[0] ?? []).entries()) {
    for (const share of shares) {
      const here = new Map<string, number[]>(names.map((name) => [name, []]));
      const hitShares: number[] = [];
      for (const mixes of perSeed) {
        const mix = mixes[mixIndex];
        if (mix === undefined) continue;
        const capacity = Math.floor(mix.workingSetChunks * share);
        const shipped = await replayShipped(mix, capacity, parentDir);
        hitShares.push(1 - shipped.misses / shipped.visits);
        for (const [name, create] of Object.entries(models)) {
          const result = await replayMix(mix, create(capacity));
          here.get(name)?.push(result.misses / shipped.misses);
          total.get(name)?.misses.push(result.misses / shipped.misses);
          total.get(name)?.fetched.push(result.fetched / shipped.fetched);
        }
      }
      const hitPercent = (100 * hitShares.reduce((sum, each) => sum + each, 0)) / hitShares.length;
      const ratios = names.map((name) => times(geometricMean(here.get(name) ?? [])));
      lines.push(row([mixName, `${Math.round(share * 100)} %`, `${hitPercent.toFixed(1)} %`, ...ratios]));
      console.error(lines.at(-1));
    }
  }
  const summary = (title: string, cell: (ratios: Ratios) => string): string => row([title, '', '', ...[...total.values()].map(cell)]);
  return [
    row(['mix', 'cache', 'shipped: hits', ...names.map((name) => `${name}: misses`)]),
    row(['---', '---:', '---:', ...names.map(() => '---:')]),
    ...lines,
    summary('**all, geometric mean**', ({ misses }) => `**${times(geometricMean(misses))}**`),
    summary('lowest to highest replay', ({ misses }) => `${Math.min(...misses).toFixed(2)}-${times(Math.max(...misses))}`),
    summary('chunks fetched, scans included', ({ fetched }) => times(geometricMean(fetched))),
  ].join('\n');
}

const { values } = parseArgs({ options: { seeds: { type: 'string', default: '3' }, doc: { type: 'boolean', default: false } } });
const table = await study(Math.max(1, Number(values.seeds) || 1));
console.log(table);
if (values.doc) await publish('eviction', table);
