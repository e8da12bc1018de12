/** Where the machine's time went during a run: with two cores for a whole cluster, that is often what limits. */
import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';

export interface CpuUse {
  wallSeconds: number;
  /** Of this machine's cores, how many were busy on average, whoever used them. */
  busyCores: number;
  /** CPU seconds of each server, user and system. The kernel counts network work for whoever it interrupts. */
  servers: number[];
  origin: number;
  /** The relay that adds latency. */
  relay: number;
  /** The replayed guests, and the measurement itself. */
  guests: number;
}

/** Of the run alone, not of whoever else uses the machine. */
export function ownCpuSeconds({ servers, origin, relay, guests }: CpuUse): number {
  return servers.reduce((sum, each) => sum + each, origin + relay + guests);
}

interface Reading {
  atMs: number;
  idleTicks: number;
  totalTicks: number;
  servers: number[];
  origin: number;
  relay: number;
  guests: number;
}

export interface CpuSources {
  /** Seconds used so far. */
  servers: readonly (() => Promise<number>)[];
  origin(): Promise<number>;
  relay(): Promise<number>;
}

async function take(sources: CpuSources): Promise<Reading> {
  const [servers, origin, relay] = await Promise.all([
    Promise.all(sources.servers.map((cpuSeconds) => cpuSeconds())),
    sources.origin(),
    sources.relay(),
  ]);
  const [line = ''] = (await readFile('/proc/stat', 'utf8')).split('\n');
  const ticks = line.split(/\s+/).slice(1, 9).map(Number); // guest time is within user time
  const { user, system } = process.cpuUsage();
  return {
    atMs: performance.now(),
    idleTicks: (ticks[3] ?? 0) + (ticks[4] ?? 0),
    totalTicks: ticks.reduce((sum, each) => sum + each, 0),
    servers,
    origin,
    relay,
    guests: (user + system) / 1e6,
  };
}

/** Reads the meters around the work. A server that dies meanwhile counts as 0. */
export async function withCpuUse<T>(sources: CpuSources, work: () => Promise<T>): Promise<{ result: T; cpu: CpuUse }> {
  const before = await take(sources);
  const result = await work();
  const after = await take(sources);
  const idle = (after.idleTicks - before.idleTicks) / (after.totalTicks - before.totalTicks);
  return {
    result,
    cpu: {
      wallSeconds: (after.atMs - before.atMs) / 1000,
      busyCores: cpus().length * (1 - idle),
      servers: after.servers.map((seconds, index) => Math.max(0, seconds - (before.servers[index] ?? 0))),
      origin: after.origin - before.origin,
      relay: after.relay - before.relay,
      guests: after.guests - before.guests,
    },
  };
}
