/** The demo's result as a table. */
import Table from 'cli-table3';
import type { Boot } from './guest.js';
import type { Traffic } from './origin.js';

export interface Phase {
  title: string;
  boot: Boot;
  traffic: Traffic;
}

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

export function report(phases: readonly Phase[]): string {
  const table = new Table({
    head: ['boot', 'seconds to userspace', 'read by the guest', 'fetched from the origin', 'requests to the origin'],
    colAligns: ['left', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [], compact: true },
  });
  for (const { title, boot, traffic } of phases) {
    table.push([title, boot.secondsToUserspace.toFixed(1), mib(boot.readBytes), mib(traffic.bytes), String(traffic.requests)]);
  }
  return table.toString();
}
