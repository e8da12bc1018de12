/** What the hosts read and what the origin sent meanwhile, as a table. */
import Table from 'cli-table3';
import type { Reading } from './reader.js';

export interface Phase {
  title: string;
  readings: readonly Reading[];
  originBytes: number;
}

export const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

export const sumBytes = (readings: readonly Reading[]): number => readings.reduce((sum, { readBytes }) => sum + readBytes, 0);

export function report(phases: readonly Phase[]): string {
  const table = new Table({
    head: ['', 'read', 'sent by the origin', 'slowest host, seconds'],
    colAligns: ['left', 'right', 'right', 'right'],
    style: { head: [], border: [], compact: true },
  });
  for (const { title, readings, originBytes } of phases) {
    const slowest = Math.max(...readings.map(({ seconds }) => seconds));
    table.push([title, mib(sumBytes(readings)), mib(originBytes), slowest.toFixed(1)]);
  }
  return table.toString();
}
