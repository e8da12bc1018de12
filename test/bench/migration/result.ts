/** What the migrations of all rounds say, as rows. */
import { MiB } from '../../../src/base/size.js';
import { median } from '../harness/statistic.js';
import type { Migration } from './run.js';

/** One of each way, one after the other. */
export type Round = Readonly<Partial<Record<Migration['way'], Migration>>>;

/** Less than this is no time that could be measured here: a ratio of times is told against it at least. */
const minMs = 100;

export const rowHead = ['work', 'measured', 'at least', ''];

export function rows(rounds: readonly Round[], overlayBytes: number): string[][] {
  const all = rounds.flatMap((round) => Object.values(round));
  const copse = rounds.flatMap(({ copse: one }) => (one === undefined ? [] : [one]));
  const made: string[][] = [];
  const row = (
    work: string,
    values: readonly number[],
    wanted: string,
    isMet: (value: number) => boolean,
    text: (value: number) => string,
  ): void => {
    if (values.length === 0) return;
    const spread = `${text(median(values))} (${text(Math.min(...values))} to ${text(Math.max(...values))})`;
    made.push([work, spread, wanted, wanted === '' ? '' : isMet(median(values)) ? 'met' : 'missed']);
  };
  const share = (value: number): string => value.toFixed(4);
  const ms = (value: number): string => `${value.toFixed(0)} ms`;
  const GiBs = `${(overlayBytes / MiB / 1024).toFixed(1)} GiB`;
  const ofOverlay = (bytes: (each: Migration) => number): number[] => copse.map((each) => bytes(each) / overlayBytes);

  row(
    `bytes between the hosts until the VM runs at the destination ÷ overlay of ${GiBs}`,
    ofOverlay((each) => each.movedWhenRunningBytes),
    '< 0.05',
    (value) => value < 0.05,
    share,
  );
  row(
    'the same until it has written there',
    ofOverlay((each) => each.movedWhenWritingBytes),
    '< 0.05',
    (value) => value < 0.05,
    share,
  );
  row(
    'the same in all',
    ofOverlay((each) => each.movedBytes),
    '≤ 1.05',
    (value) => value <= 1.05,
    share,
  );
  const beside = (other: Migration['way'], difference: (copse: Migration, other: Migration) => number): number[] =>
    rounds.flatMap((round) => {
      const peer = round[other];
      return round.copse === undefined || peer === undefined ? [] : [difference(round.copse, peer)];
    });
  const down = (each: Migration): number => each.downtimeMs + each.firstWriteMs;
  row(
    'downtime until the first write, added to that with a shared NBD server',
    beside('shared', (own, shared) => down(own) - down(shared)),
    '< 100 ms',
    (value) => value < 100,
    ms,
  );
  row(
    "the guest's longest pause between two records, added likewise",
    beside('shared', (own, shared) => own.pauseMs - shared.pauseMs),
    '< 100 ms',
    (value) => value < 100,
    ms,
  );
  const sooner = rounds.flatMap((round) => {
    const { copse: own, shared, mirror } = round;
    if (own === undefined || shared === undefined || mirror === undefined) return [];
    return [(mirror.writingMs - shared.writingMs) / Math.max(own.writingMs - shared.writingMs, minMs)];
  });
  row(
    "time until the VM has written at the destination, QEMU's drive-mirror ÷ Copse, that with a shared NBD server subtracted from both",
    sooner,
    '≥ 10×',
    (value) => value >= 10,
    (value) => `${value.toFixed(0)}×`,
  );
  const wrong = all.flatMap((each) => each.wrong);
  if (all.length > 0)
    made.push([
      `records and megabytes that are not as written, ${all.length} migrations`,
      `${wrong.length}`,
      '0',
      wrong.length === 0 ? 'met' : 'missed',
    ]);
  return made;
}

export const runHead = [
  'disk',
  'VM runs after',
  'has written after',
  'downtime (QEMU)',
  'to first write',
  'longest pause',
  'memory moved',
  'storage moved: running / written / in all',
  'source free after',
];

/** Medians of each way. */
export function runRows(rounds: readonly Round[], titles: ReadonlyMap<Migration['way'], string>): string[][] {
  return [...titles].flatMap(([way, title]) => {
    const runs = rounds.flatMap((round) => round[way] ?? []);
    if (runs.length === 0) return [];
    const middle = (value: (each: Migration) => number): number => median(runs.map(value));
    const seconds = (value: (each: Migration) => number): string => `${(middle(value) / 1000).toFixed(2)} s`;
    const ms = (value: (each: Migration) => number): string => `${middle(value).toFixed(0)} ms`;
    const size = (value: (each: Migration) => number): string => (middle(value) / MiB).toFixed(1);
    const moved = [size((each) => each.movedWhenRunningBytes), size((each) => each.movedWhenWritingBytes), size((each) => each.movedBytes)];
    return [
      [
        title,
        seconds((each) => each.runningMs),
        seconds((each) => each.writingMs),
        ms((each) => each.downtimeMs),
        ms((each) => each.firstWriteMs),
        ms((each) => each.pauseMs),
        `${size((each) => each.ramBytes)} MiB`,
        `${moved.join(' / ')} MiB`,
        way === 'shared' ? '' : seconds((each) => each.completedMs),
      ],
    ];
  });
}
