/**
 * Contenders in alternation, A B C A B C …, and what their pairs say.
 *
 * The machine drifts within minutes, so absolute figures of different rounds don't compare: a ratio is taken within each round, and the
 * median of the ratios is the result.
 */
import { median, medianOf } from './statistic.js';

export interface Sample {
  /** In the measure's unit. */
  value: number;
  /** CPU of the server (descendants included) for one operation. */
  cpuUsPerOperation?: number | undefined;
  /** Whatever else is worth keeping in the JSON. */
  note?: Record<string, number> | undefined;
}

export interface Contender {
  name: string;
  run(roundIndex: number): Promise<Sample>;
}

export interface Measure {
  unit: string;
  better: 'higher' | 'lower';
}

export interface Rounds {
  measure: Measure;
  /** By contender, a sample per round. */
  samples: Record<string, Sample[]>;
}

export interface Comparison {
  /** Median of the rounds' ratios; above 1 the first is better. */
  ratio: number;
  lowestRatio: number;
  highestRatio: number;
}

/**
 * @param sideBySide all contenders of a round at once: only where they do nothing but wait for a slow origin
 */
export async function runRounds(
  contenders: readonly Contender[],
  measure: Measure,
  options: { pairs: number; sideBySide?: boolean },
): Promise<Rounds> {
  const samples: Record<string, Sample[]> = Object.fromEntries(contenders.map(({ name }) => [name, []]));
  for (let roundIndex = 0; roundIndex < options.pairs; roundIndex += 1) {
    const runOne = async ({ name, run }: Contender): Promise<void> => {
      samples[name]?.push(await run(roundIndex));
    };
    if (options.sideBySide) {
      const outcomes = await Promise.allSettled(contenders.map(runOne));
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    } else {
      for (const contender of contenders) await runOne(contender);
    }
  }
  return { measure, samples };
}

export function compare(rounds: Rounds, first: string, second: string): Comparison {
  const seconds = rounds.samples[second] ?? [];
  const ratios = (rounds.samples[first] ?? []).flatMap((sample, round) => {
    const other = seconds[round];
    if (other === undefined) return [];
    return [rounds.measure.better === 'higher' ? sample.value / other.value : other.value / sample.value];
  });
  return { ratio: median(ratios), lowestRatio: Math.min(...ratios), highestRatio: Math.max(...ratios) };
}

/** What one operation costs the server, as a part of what it costs the other; below 1 the first is better. undefined: not measured. */
export function compareCpu(rounds: Rounds, first: string, second: string): Comparison | undefined {
  const seconds = rounds.samples[second] ?? [];
  const ratios = (rounds.samples[first] ?? []).flatMap(({ cpuUsPerOperation }, round) => {
    const other = seconds[round]?.cpuUsPerOperation;
    return cpuUsPerOperation === undefined || other === undefined || other === 0 ? [] : [cpuUsPerOperation / other];
  });
  return ratios.length === 0 ? undefined : { ratio: median(ratios), lowestRatio: Math.min(...ratios), highestRatio: Math.max(...ratios) };
}

export function medianValue(rounds: Rounds, name: string): number {
  return median((rounds.samples[name] ?? []).map((sample) => sample.value));
}

export function medianCpuUs(rounds: Rounds, name: string): number | undefined {
  return medianOf((rounds.samples[name] ?? []).map((sample) => sample.cpuUsPerOperation));
}
