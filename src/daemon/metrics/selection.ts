/**
 * Which exports and contents get series of their own: those that something happened to since the daemon was started, and of many
 * those that matter most. The others count in one series without their labels.
 *
 * A scrape that has series for each of 20 000 images is 198 MB.
 */
import type { Slice } from '../../base/slice.js';

/** Exports, disks and contents that have series of their own, of each kind. */
export const seriesLimit = 500;

export interface Selection<T> {
  shown: T[];
  /** Items that something happened to, beyond the limit. */
  rest: T[];
}

/** @param rankOf how much an item matters; 0 for one that nothing happened to */
export async function select<T>(items: Iterable<T>, slice: Slice, rankOf: (item: T) => number): Promise<Selection<T>> {
  const ranked: { item: T; rank: number }[] = [];
  for (const item of items) {
    await slice.turn();
    const rank = rankOf(item);
    if (rank > 0) ranked.push({ item, rank });
  }
  if (ranked.length > seriesLimit) ranked.sort((left, right) => right.rank - left.rank);
  const selected = ranked.map(({ item }) => item);
  return { shown: selected.slice(0, seriesLimit), rest: selected.slice(seriesLimit) };
}

/** Calls `add` for each item: with its labels, or without for those beyond the limit. */
export async function addEach<T>(
  { shown, rest }: Selection<T>,
  slice: Slice,
  labelsOf: (item: T) => Readonly<Record<string, string>>,
  add: (item: T, labels: Readonly<Record<string, string>>) => void,
): Promise<void> {
  for (const item of shown) {
    await slice.turn();
    add(item, labelsOf(item));
  }
  for (const item of rest) {
    await slice.turn();
    add(item, {});
  }
}
