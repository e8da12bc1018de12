/**
 * Runs a job of a command, with its progress on standard error. A signal, or the end of the process
 * that reads the progress, ends the job in order.
 */

import { AbortedError } from '../base/error.js';
import type { JobOptions, Progress } from '../base/job.js';
import { ExitCode } from './exit-code.js';
import { whenReaderGoes } from './output.js';
import { createProgressView } from './progress.js';

export type JobOutcome<T> = { result: T } | { exitCode: number };

const exitCodeBySignal = { SIGINT: ExitCode.interrupted, SIGTERM: ExitCode.terminated, SIGHUP: ExitCode.hungUp } as const;
const signals = Object.keys(exitCodeBySignal) as (keyof typeof exitCodeBySignal)[];

/**
 * @param title name of the job, as in `warm debian-12`
 * @returns the result, or the exit code of the signal that ended the job
 * @throws the job's error, unless a signal ended it
 */
export async function runJob<T extends Progress>(
  title: string,
  options: { quiet: boolean },
  job: (options: JobOptions) => Promise<T>,
): Promise<JobOutcome<T>> {
  const view = await createProgressView(title, options);
  const abort = new AbortController();
  let exitCode: number | undefined;
  const end = (code: number): void => {
    exitCode ??= code;
    abort.abort();
  };
  // The listeners stay. execa's signal-exit ends the process if it finds no other listener.
  let isEnding = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    const code = exitCodeBySignal[signal as keyof typeof exitCodeBySignal];
    if (isEnding) process.exit(code);
    isEnding = true;
    end(code);
  };
  for (const signal of signals) process.on(signal, onSignal);
  const forgetReader = whenReaderGoes(() => end(ExitCode.readerGone));
  try {
    const result = await job({ signal: abort.signal, onProgress: (progress) => view.update(progress) });
    view.update(result);
    return { result };
  } catch (error) {
    if (exitCode !== undefined) return { exitCode };
    if (abort.signal.aborted) throw new AbortedError(title, { cause: error });
    throw error;
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
    forgetReader();
    view.stop();
  }
}
