/** Finds the known word that an operator probably meant. */

/**
 * Damerau-Levenshtein distance, where adjacent swaps count one. For words of some dozens of
 * characters.
 */
function distance(a: string, b: string): number {
  let [before, last] = [[] as number[], Array.from({ length: b.length + 1 }, (_, index) => index)];
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, (before[j - 2] ?? 0) + 1);
      row.push(least);
    }
    [before, last] = [last, row];
  }
  return last[b.length] ?? 0;
}

/**
 * The known word closest to `word`. It is close enough if at most a third of its letters are wrong,
 * or if one begins with the other.
 */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const lower = word.toLowerCase().replaceAll('-', '_');
  let best: { word: string; distance: number } | undefined;
  for (const candidate of known) {
    const isPart = lower.length >= 3 && (candidate.startsWith(lower) || candidate.endsWith(`_${lower}`) || lower.startsWith(candidate));
    const steps = isPart ? 1 : distance(lower, candidate);
    if (steps <= Math.max(1, Math.floor(candidate.length / 3)) && (best === undefined || steps < best.distance))
      best = { word: candidate, distance: steps };
  }
  return best?.word;
}
