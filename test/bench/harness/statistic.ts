/** The few statistics that the bench needs. Medians, since the machine drifts and single runs lie. */

/** @param values at least one */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? Number.NaN) + high) / 2;
}

/** Median that passes over what was not measured; undefined when nothing was. */
export function medianOf(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value): value is number => value !== undefined);
  return known.length === 0 ? undefined : median(known);
}

/**
 * What `share` of the times in a histogram stay at or below, had somebody asked every `intervalUs`: a client that waits for each answer asks
 * nothing meanwhile, so a time beyond the interval stands for those that would have waited for the rest of it as well.
 *
 * @param bins time and count @returns 0 for an empty histogram
 */
export function percentile(bins: readonly (readonly [us: number, count: number])[], share: number, intervalUs: number): number {
  const all = bins.flatMap(([us, count]) => {
    const missedCount = Math.max(0, Math.ceil(us / intervalUs) - 1);
    const missed = Array.from({ length: missedCount }, (_, index) => [us - (index + 1) * intervalUs, count] as const);
    return [[us, count] as const, ...missed];
  });
  all.sort(([a], [b]) => a - b);
  const dueCount = share * all.reduce((sum, [, count]) => sum + count, 0);
  let seenCount = 0;
  for (const [us, count] of all) {
    seenCount += count;
    if (seenCount >= dueCount) return us;
  }
  return 0;
}

/**
 * `0 … count-1` in an order that looks random and is the same for the same seed (Fisher-Yates over mulberry32), so that all
 * contenders of a round meet the same offsets.
 */
export function shuffled(count: number, seed: number): number[] {
  const order = Array.from({ length: count }, (_, index) => index);
  let state = seed >>> 0;
  const random = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  for (let last = count - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    const [a, b] = [order[last], order[other]];
    if (a === undefined || b === undefined) continue;
    order[last] = b;
    order[other] = a;
  }
  return order;
}
