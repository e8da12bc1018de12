/**
 * One scrape in Prometheus' text format: families of samples, added one by one.
 *
 * Samples of equal labels are summed. So an item without a series of its own counts in one with
 * fewer labels, and sums over all series stay right.
 */
import { type LatencyHistogram, latencyBucketSeconds } from '../../base/metric.js';

export type Labels = Readonly<Record<string, string>>;

export class MetricFamily {
  readonly name: string;
  readonly #head: string;
  /** Values by the text of their labels. */
  readonly #samples = new Map<string, number>();

  constructor(name: string, help: string, type: 'counter' | 'gauge') {
    this.name = name;
    this.#head = `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
  }

  add(labels: Labels, value: number): void {
    const text = labelText(labels);
    this.#samples.set(text, (this.#samples.get(text) ?? 0) + value);
  }

  /** Replaces the value that was added before. */
  set(labels: Labels, value: number): void {
    this.#samples.set(labelText(labels), value);
  }

  text(): string {
    let text = this.#head;
    for (const [labels, value] of this.#samples) text += `${this.name}${labels} ${value}\n`;
    return text;
  }
}

export class MetricPage {
  readonly #families: { text(): string }[] = [];

  counter(name: string, help: string): MetricFamily {
    return this.#family(name, help, 'counter');
  }

  gauge(name: string, help: string): MetricFamily {
    return this.#family(name, help, 'gauge');
  }

  histogram(name: string, help: string, series: readonly { labels: Labels; histogram: LatencyHistogram }[]): void {
    this.#families.push({ text: () => histogramText(name, help, series) });
  }

  text(): string {
    return this.#families.map((family) => family.text()).join('');
  }

  #family(name: string, help: string, type: 'counter' | 'gauge'): MetricFamily {
    const family = new MetricFamily(name, help, type);
    this.#families.push(family);
    return family;
  }
}

function histogramText(name: string, help: string, series: readonly { labels: Labels; histogram: LatencyHistogram }[]): string {
  const lines = [`# HELP ${name} ${help}`, `# TYPE ${name} histogram`];
  for (const { labels, histogram } of series) {
    let count = 0;
    latencyBucketSeconds.forEach((bound, index) => {
      count += histogram.counts[index] ?? 0;
      lines.push(`${name}_bucket${labelText({ ...labels, le: String(bound) })} ${count}`);
    });
    lines.push(`${name}_bucket${labelText({ ...labels, le: '+Inf' })} ${histogram.count}`);
    lines.push(`${name}_sum${labelText(labels)} ${histogram.sumSeconds}`, `${name}_count${labelText(labels)} ${histogram.count}`);
  }
  return `${lines.join('\n')}\n`;
}

function labelText(labels: Labels): string {
  const parts = Object.entries(labels).map(([label, value]) => `${label}="${escapeLabel(value)}"`);
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
