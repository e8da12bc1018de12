/**
 * Selects the exports, disks and contents that have metric series of their own: those with activity
 * since the daemon started, and up to a limit those with most. The others count in one series
 * without labels.
 *
 * A scrape with series for each of 20 000 images is 198 MB.
 */
import type { Slice } from '../../base/slice.js';

/** Limit of items of each kind that have series of their own. */
export const seriesLimit = 500;

export interface Selection<T> {
  shown: T[];
  /** Items with activity, beyond the limit. */
  rest: T[];
}

/** @param rankOf rank of an item; 0 for an item without activity */
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

/** Calls `add` for each item, with its labels, or without labels beyond the limit. */
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
