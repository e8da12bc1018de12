/** Recorded boots: the reads that a guest sent while it booted, with the time of each. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { traceDir } from './place.js';

export interface TraceRead {
  /** Since the read before it was sent, by the recording's clock: mostly the guest's own work. */
  gapMs: number;
  offset: number;
  lengthBytes: number;
}

export interface Trace {
  name: string;
  reads: TraceRead[];
  /** Union of the 4 KiB pages that the reads touch. */
  touchedBytes: number;
}

/**
 * `debian-fast-boot` (590 reads, 19 MiB: minimal init), `debian-systemd-boot` (1409 reads, 48 MiB), `debian-fast-boot-workload` (5266 reads,
 * 105 MiB: the fast boot, then 4000 files read). Debian 12 under TCG, 1 vCPU, virtio-blk; CSV of ms, offset, length.
 */
export const traceNames = ['debian-fast-boot', 'debian-systemd-boot', 'debian-fast-boot-workload'] as const;
export type TraceName = (typeof traceNames)[number];

export async function loadTrace(name: TraceName): Promise<Trace> {
  const packed = await readFile(join(traceDir, `${name}.csv.gz`));
  return parseTrace(name, (await promisify(gunzip)(packed)).toString());
}

export function parseTrace(name: string, csv: string): Trace {
  const reads: TraceRead[] = [];
  const pages = new Set<number>();
  let lastMs: number | undefined;
  for (const line of csv.split('\n').slice(1)) {
    if (line === '') continue;
    const [ms = Number.NaN, offset = Number.NaN, lengthBytes = Number.NaN] = line.split(',').map(Number);
    reads.push({ gapMs: ms - (lastMs ?? ms), offset, lengthBytes });
    lastMs = ms;
    for (let page = Math.floor(offset / 4096); page * 4096 < offset + lengthBytes; page += 1) pages.add(page);
  }
  return { name, reads, touchedBytes: pages.size * 4096 };
}
