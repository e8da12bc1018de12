/** One storm: hosts with empty caches, one guest on each, all starting together. */
import type { LabPlace } from '../../lab/place.js';
import { cpuSeconds } from '../harness/process-meter.js';
import type { Extra } from '../harness/report.js';
import { median } from '../harness/statistic.js';
import type { RunningServer } from '../server/server.js';
import type { StormContext } from './context.js';
import { type CpuUse, ownCpuSeconds, withCpuUse } from './lab/cpu.js';
import { type CopseFleet, type Fleet, startCopseFleet, startNbdkitFleet } from './lab/fleet.js';
import { type OriginUse, tellApart } from './lab/origin-use.js';
import { bootByTrace, type GuestReport } from './lab/replay-guest.js';

export interface StormRun {
  kind: 'copse' | 'nbdkit';
  hostCount: number;
  keepGaps: boolean;
  /** Of the guest that was through last. */
  seconds: number;
  medianSeconds: number;
  guests: GuestReport[];
  errorCount: number;
  wrongReads: number;
  /** From the servers' start on. */
  origin: OriginUse;
  /** What left the origin's interface, headers and retransmissions included. */
  interfaceBytes: number;
  cpu: CpuUse;
}

export function hostsOf(context: StormContext, count: number): LabPlace[] {
  return context.lab.hosts.slice(0, count);
}

export function startFleet(context: StormContext, kind: 'copse' | 'nbdkit', places: readonly LabPlace[]): Promise<Fleet> {
  const url = context.origin.url(kind, context.image.name);
  return kind === 'copse' ? startCopseFleet(context.workDir, places, url) : startNbdkitFleet(context.workDir, places, url);
}

/** As `startFleet`, with nodes that may join later. */
export function startGrowingFleet(context: StormContext, places: readonly LabPlace[], later: readonly LabPlace[]): Promise<CopseFleet> {
  return startCopseFleet(context.workDir, places, context.origin.url('copse', context.image.name), later);
}

const known = new Map<string, Promise<StormRun>>();

/** A storm that several cases look at is run once for each round. */
export function storm(
  context: StormContext,
  kind: 'copse' | 'nbdkit',
  hostCount: number,
  keepGaps: boolean,
  roundIndex: number,
): Promise<StormRun> {
  const key = [kind, hostCount, keepGaps, roundIndex].join();
  const run = known.get(key) ?? runStorm(context, kind, hostCount, keepGaps);
  known.set(key, run);
  return run;
}

async function runStorm(context: StormContext, kind: 'copse' | 'nbdkit', hostCount: number, keepGaps: boolean): Promise<StormRun> {
  context.say(`${hostCount} × ${kind}, ${keepGaps ? 'gaps kept' : 'no gaps'}`);
  const mark = await context.origin.mark();
  const fleet = await startFleet(context, kind, hostsOf(context, hostCount));
  try {
    const boot = (server: RunningServer): Promise<GuestReport> => bootByTrace(server, context.trace, context.expected, { keepGaps });
    const { result: guests, cpu } = await withCpuUse(cpuSources(context, fleet), () => Promise.all(fleet.servers.map(boot)));
    const use = await context.origin.use(mark, kind);
    const run: StormRun = {
      kind,
      hostCount,
      keepGaps,
      ...summary(guests),
      origin: tellApart(use.ranges, context.touched, context.chunkBytes),
      interfaceBytes: use.interfaceBytes,
      cpu,
    };
    context.keep('storm', run);
    return run;
  } finally {
    await fleet.close();
  }
}

export function cpuSources(context: StormContext, fleet: Fleet): Parameters<typeof withCpuUse>[0] {
  return {
    servers: fleet.servers.map(
      ({ program }) =>
        () =>
          program.cpuSeconds(),
    ),
    origin: () => context.origin.cpuSeconds(),
    relay: () => cpuSeconds(context.lab.relayPid),
  };
}

export function summary(guests: GuestReport[]): Pick<StormRun, 'seconds' | 'medianSeconds' | 'guests' | 'errorCount' | 'wrongReads'> {
  const seconds = guests.map((guest) => guest.seconds);
  return {
    seconds: Math.max(...seconds),
    medianSeconds: median(seconds),
    guests,
    errorCount: guests.reduce((sum, guest) => sum + guest.errors.length, 0),
    wrongReads: guests.reduce((sum, guest) => sum + guest.wrongReads, 0),
  };
}

/** Bytes of touched chunks that the origin sent, in units of all touched chunks. */
export function economy(context: StormContext, run: Pick<StormRun, 'origin'>): number {
  return run.origin.touchedBytes / (context.touched.size * context.chunkBytes);
}

const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);

/** What the verdicts stand on: medians of the rounds' runs, a line for each kind, number of hosts and pace. */
export function runTable(title: string, runs: readonly StormRun[]): Extra {
  const groups = new Map<string, StormRun[]>();
  for (const run of runs) {
    const key = [run.kind, run.hostCount, run.keepGaps].join();
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  const rows = [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const of = (figure: (run: StormRun) => number): number => median(group.map(figure));
    return [
      [
        first.kind,
        String(first.hostCount),
        first.keepGaps ? 'kept' : 'no',
        of((run) => run.seconds).toFixed(2),
        of((run) => run.medianSeconds).toFixed(2),
        `${mib(of((run) => run.origin.touchedBytes))} + ${mib(of((run) => run.origin.beyondBytes))}`,
        mib(of((run) => run.interfaceBytes)),
        String(Math.round(of((run) => run.origin.requests))),
        of((run) => run.cpu.servers.reduce((sum, each) => sum + each, 0)).toFixed(2),
        of((run) => Math.max(...run.cpu.servers)).toFixed(2),
        `${of((run) => run.cpu.origin).toFixed(2)} / ${of((run) => run.cpu.relay).toFixed(2)} / ${of((run) => run.cpu.guests).toFixed(2)}`,
        `${of((run) => ownCpuSeconds(run.cpu) / run.cpu.wallSeconds).toFixed(2)} / ${of((run) => run.cpu.busyCores).toFixed(2)}`,
        String(group.reduce((sum, run) => sum + run.errorCount + run.wrongReads, 0)),
      ],
    ];
  });
  return { title, head: runHead, rows };
}

const runHead = [
  'server',
  'hosts',
  'gaps',
  's, slowest',
  's, median',
  'origin MiB: touched + beyond',
  'on the wire',
  'requests',
  'CPU s, servers',
  'busiest',
  'origin / relay / guests',
  'cores busy: run / all',
  'errors',
];
