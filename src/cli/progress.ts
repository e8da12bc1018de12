/** Shows a job's progress: as a bar on a terminal, else as a plain line every 2 s. */
import type { Progress } from '../base/job.js';
import { formatSize } from '../base/size.js';
import { formatPart, formatSeconds, percent } from './text.js';

export interface ProgressView {
  update(progress: Progress): void;
  stop(): void;
}

/** Shortest time between two plain lines, in ms. */
const plainIntervalMs = 2000;

/** @param options `quiet` omits plain lines. A terminal shows its bar in any case */
export async function createProgressView(title: string, options: { quiet: boolean }): Promise<ProgressView> {
  if (process.stderr.isTTY) return createBar(title);
  return options.quiet ? { update() {}, stop() {} } : createLines(title);
}

/** Rate since the first progress, and the time that the rest takes at that rate. */
class Pace {
  #first: (Progress & { atMs: number }) | undefined;

  describe({ doneBytes, totalBytes }: Progress): { rate: string; left: string } {
    const atMs = performance.now();
    this.#first ??= { doneBytes, totalBytes, atMs };
    const bytesPerSecond = ((doneBytes - this.#first.doneBytes) / (atMs - this.#first.atMs)) * 1000;
    if (!(bytesPerSecond > 0) || !Number.isFinite(bytesPerSecond)) return { rate: '-', left: '-' };
    return { rate: `${formatSize(Math.round(bytesPerSecond))}/s`, left: formatSeconds((totalBytes - doneBytes) / bytesPerSecond) };
  }
}

async function createBar(title: string): Promise<ProgressView> {
  const { default: cliProgress } = await import('cli-progress');
  const pace = new Pace();
  const bar = new cliProgress.SingleBar({
    stream: process.stderr,
    format: `${title} [{bar}] {share} %  {done} of {all}  {rate}  {left} left`,
    barCompleteChar: '=',
    barIncompleteChar: ' ',
    hideCursor: true,
    barsize: 24,
  });
  let isStarted = false;
  return {
    update(progress) {
      const { doneBytes, totalBytes } = progress;
      const payload = {
        ...pace.describe(progress),
        done: formatSize(doneBytes),
        all: formatSize(totalBytes),
        share: percent(doneBytes, totalBytes),
      };
      if (isStarted) bar.update(doneBytes, payload);
      else bar.start(totalBytes, doneBytes, payload);
      isStarted = true;
    },
    stop: () => bar.stop(),
  };
}

function createLines(title: string): ProgressView {
  const pace = new Pace();
  let lastMs = Number.NEGATIVE_INFINITY;
  return {
    update(progress) {
      const { rate, left } = pace.describe(progress);
      const nowMs = performance.now();
      if (nowMs - lastMs < plainIntervalMs) return;
      lastMs = nowMs;
      process.stderr.write(`${title}: ${formatPart(progress.doneBytes, progress.totalBytes)}, ${rate}, ${left} left\n`);
    },
    stop() {},
  };
}
