/** Results as rows, and rows as text: a table for the terminal, Markdown for docs, JSON for programs. */
import Table from 'cli-table3';
import { type Comparison, compare, compareCpu, medianCpuUs, medianValue, type Rounds } from './round.js';

export interface Row {
  work: string;
  against: string;
  /** What was measured: a ratio such as `12.3× (11.0-13.1)`, or a figure of its own. */
  measured: string;
  wanted: string;
  /** undefined: nothing is wanted. */
  met: boolean | undefined;
  copse: string;
  peer: string;
  copseCpu: string;
  peerCpu: string;
}

/** A table beside the main one. */
export interface Extra {
  title: string;
  head: string[];
  rows: string[][];
}

export interface CaseResult {
  rows: Row[];
  extras?: Extra[];
  /** All samples, for the JSON. */
  samples: unknown;
}

export function formatFigure(value: number, unit: string): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${unit}`;
}

/** Copse beside one peer. @param wantedRatio 1 with `ahead` means strictly better */
export function rowOf(work: string, rounds: Rounds, peer: string, wantedRatio: number | 'ahead' | undefined, peerTitle = peer): Row {
  const { ratio, lowestRatio, highestRatio } = compare(rounds, 'copse', peer);
  const { unit } = rounds.measure;
  const cpu = (name: string): string => {
    const us = medianCpuUs(rounds, name);
    return us === undefined ? '' : formatFigure(us, 'µs');
  };
  return {
    work,
    against: peerTitle,
    measured: inWords({ ratio, lowestRatio, highestRatio }),
    wanted: wantedRatio === undefined ? '' : wantedRatio === 'ahead' ? 'ahead' : `≥ ${wantedRatio}×`,
    met: wantedRatio === undefined ? undefined : wantedRatio === 'ahead' ? ratio > 1 : ratio >= wantedRatio,
    copse: formatFigure(medianValue(rounds, 'copse'), unit),
    peer: formatFigure(medianValue(rounds, peer), unit),
    copseCpu: cpu('copse'),
    peerCpu: cpu(peer),
  };
}

function inWords({ ratio, lowestRatio, highestRatio }: Comparison): string {
  return `${ratio.toFixed(2)}× (${lowestRatio.toFixed(2)}-${highestRatio.toFixed(2)})`;
}

/** The server's CPU for each operation beside one peer's. @param maxRatio `ahead` means strictly less */
export function cpuRowOf(work: string, rounds: Rounds, peer: string, maxRatio: number | 'ahead', peerTitle = peer): Row {
  const comparison = compareCpu(rounds, 'copse', peer);
  const cpu = (name: string): string => formatFigure(medianCpuUs(rounds, name) ?? Number.NaN, 'µs');
  return {
    work: `${work}: server CPU`,
    against: peerTitle,
    measured: comparison === undefined ? 'not measured' : inWords(comparison),
    wanted: maxRatio === 'ahead' ? 'ahead' : `≤ ${maxRatio}×`,
    met: comparison !== undefined && (maxRatio === 'ahead' ? comparison.ratio < 1 : comparison.ratio <= maxRatio),
    copse: '',
    peer: '',
    copseCpu: cpu('copse'),
    peerCpu: cpu(peer),
  };
}

/** Times of `first` as a multiple of those of `second`. @param maxRatio undefined: nothing is wanted */
export function timesRowOf(work: string, rounds: Rounds, first: string, second: string, maxRatio: number | undefined): Row {
  const comparison = compare(rounds, second, first); // times: the lower one is ahead
  const { unit } = rounds.measure;
  return {
    work,
    against: second,
    measured: inWords(comparison),
    wanted: maxRatio === undefined ? '' : `≤ ${maxRatio}×`,
    met: maxRatio === undefined ? undefined : comparison.ratio <= maxRatio,
    copse: formatFigure(medianValue(rounds, first), unit),
    peer: formatFigure(medianValue(rounds, second), unit),
    copseCpu: '',
    peerCpu: '',
  };
}

/** Copse alone against a bound. */
export function boundRow(work: string, measured: string, wanted: string, met: boolean): Row {
  return { work, against: '', measured, wanted, met, copse: '', peer: '', copseCpu: '', peerCpu: '' };
}

const rowHead = ['work', 'against', 'measured', 'wanted', '', 'Copse', 'peer', 'CPU/op', 'peer CPU/op'];

function cells(row: Row): string[] {
  const verdict = row.met === undefined ? '' : row.met ? 'met' : 'missed';
  return [row.work, row.against, row.measured, row.wanted, verdict, row.copse, row.peer, row.copseCpu, row.peerCpu];
}

export function terminalTable(head: string[], rows: string[][]): string {
  const table = new Table({ head, style: { head: [], border: [], compact: true } });
  table.push(...rows);
  return table.toString();
}

/** Main table, then the extras. */
export function render(results: readonly CaseResult[], table: (head: string[], rows: string[][]) => string): string {
  const parts: string[] = [];
  const rows = results.flatMap((result) => result.rows);
  if (rows.length > 0) parts.push(table(rowHead, rows.map(cells)));
  for (const extra of results.flatMap((result) => result.extras ?? [])) parts.push(`${extra.title}\n\n${table(extra.head, extra.rows)}`);
  return parts.join('\n\n');
}
