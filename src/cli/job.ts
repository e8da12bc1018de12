/** Runs a job from the command line, as warm or import: progress on standard error, ended by SIGINT or SIGTERM. */
import type { JobOptions, Progress } from '../admin/control.js';
import { AbortedError } from '../base/error.js';
import { ExitCode } from './exit-code.js';
import { createProgressView } from './progress.js';

export type JobOutcome<T> = { result: T } | { exitCode: number };

const exitCodeBySignal = { SIGINT: ExitCode.interrupted, SIGTERM: ExitCode.terminated } as const;

/**
 * @param title as in `warm debian-12`
 * @returns the result, or the exit code of the signal that ended the job
 * @throws what the job throws otherwise
 */
export async function runJob<T extends Progress>(
  title: string,
  options: { quiet: boolean },
  job: (options: JobOptions) => Promise<T>,
): Promise<JobOutcome<T>> {
  const view = await createProgressView(title, options);
  const abort = new AbortController();
  let exitCode: number | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    exitCode = signal === 'SIGTERM' ? exitCodeBySignal.SIGTERM : exitCodeBySignal.SIGINT;
    abort.abort();
  };
  // Once: whoever presses again ends the program at once.
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  try {
    const result = await job({ signal: abort.signal, onProgress: (progress) => view.update(progress) });
    view.update(result);
    return { result };
  } catch (error) {
    if (exitCode !== undefined) return { exitCode };
    if (abort.signal.aborted) throw new AbortedError(title, { cause: error });
    throw error;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    view.stop();
  }
}
