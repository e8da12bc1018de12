/** What a hit costs: warm reads over a unix socket, over TCP, and of four connections together. */
import { Lifecycle } from '../../../src/base/lifecycle.js';
import { KiB, MiB } from '../../../src/base/size.js';
import { type BenchCase, withDir } from '../context.js';
import { type ReadWork, runReadWork } from '../harness/read-work.js';
import type { CaseResult } from '../harness/report.js';
import { startFastPeers, withoutFastPath } from '../server/fast-peer.js';

type Bound = [rate: number, cpu: number];

/** The peers that a hit is compared with everywhere. */
function wanted([rate, cpu]: Bound): ReadWork['wanted'] {
  return {
    nbdkit: { title: 'nbdkit file', rate, cpu },
    qemu: { title: 'qemu-nbd', rate: 'ahead', cpu: 'ahead' },
    [withoutFastPath]: { title: 'itself, --no-fast-path', rate: 'ahead', cpu: 'ahead' },
  };
}

const random = (depth: number, bound: Bound, jobs?: number): ReadWork => ({
  title: `random 4 KiB, depth ${depth}`,
  load: { pattern: 'randread', blockBytes: 4 * KiB, depth, jobs },
  unit: 'IOPS',
  wanted: wanted(bound),
});
const sequential = (title: string, blockBytes: number, bound: Bound, jobs?: number): ReadWork => ({
  title: `sequential ${title}, depth 8`,
  load: { pattern: 'read', blockBytes, depth: 8, jobs },
  unit: 'MB/s',
  wanted: wanted(bound),
});
const copied = (bound: Bound): ReadWork => ({ title: 'nbdcopy', load: 'nbdcopy', unit: 'MB/s', wanted: wanted(bound) });

function fastCase(name: string, title: string, via: 'unix' | 'tcp', works: readonly ReadWork[]): BenchCase {
  return {
    name,
    section: 'fast',
    run: (context) =>
      withDir(context, async (dir): Promise<CaseResult> => {
        const running = new Lifecycle();
        try {
          const servers = await startFastPeers(context, running, dir, context.full, via);
          const results = [];
          for (const work of works) results.push(await runReadWork(context, dir, servers, { ...work, title: `${title}, ${work.title}` }));
          return { rows: results.flatMap(({ rows }) => rows), samples: results.map(({ run }) => run) };
        } finally {
          await running.close();
        }
      }),
  };
}

const alone: Bound = [1.2, 0.5];
export const fastUnix = fastCase('fast-unix', 'unix', 'unix', [
  random(1, alone),
  // What it costs to wake a sleeping core, and to be woken on one, is a part of a read at depth 1 that no server can do anything about.
  { ...random(1, alone), title: 'random 4 KiB, depth 1, cores awake', awake: true },
  random(32, [1, 0.65]),
  sequential('256 KiB', 256 * KiB, [1.4, 0.25]),
  sequential('1 MiB', MiB, [1.4, 0.25]),
]);

export const fastTogether = fastCase('fast-together', 'unix, 4 connections', 'unix', [
  random(32, [1.2, 0.4], 4),
  sequential('256 KiB', 256 * KiB, [1.2, 0.4], 4),
  copied([1.2, 0.4]),
]);

const overTcp: Bound = [1.1, 0.5];
export const fastTcp = fastCase('fast-tcp', 'TCP', 'tcp', [
  random(1, overTcp),
  random(32, overTcp),
  sequential('256 KiB', 256 * KiB, overTcp),
  { ...sequential('256 KiB', 256 * KiB, overTcp, 4), title: '4 connections, sequential 256 KiB, depth 8' },
  { ...copied(overTcp), title: '4 connections, nbdcopy' },
]);
