/**
 * Runs a job for an HTTP request, and answers with newline-delimited JSON while it runs.
 *
 * Invariants:
 * - Nothing is sent before the first progress, so a job that fails at once is an ordinary error.
 * - Progress is dropped, never queued, while the client reads slower than the job works.
 * - The last line is `result` or `error`.
 * - The job is aborted when its client goes away.
 */

import type { ServerResponse } from 'node:http';
import { PassThrough } from 'node:stream';
import { errorCode, errorMessage } from '../base/error.js';
import type { JobOptions, Progress } from '../base/job.js';

/** Shortest time between two progress lines, in ms. */
const progressIntervalMs = 100;

/**
 * Starts the job, and resolves to its lines at the first progress or at the end.
 *
 * @param response if it closes before it is finished, the job's signal is aborted
 * @throws the job's error, if that comes before the first progress
 */
export async function startJob<T extends Progress>(
  response: ServerResponse,
  job: (options: JobOptions) => Promise<T>,
): Promise<PassThrough> {
  const abort = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) abort.abort();
  });
  const lines = new PassThrough();
  // The client may go away at any time. The rest of the lines is dropped then.
  lines.on('error', () => {});

  let start = (): void => {};
  const started = new Promise<void>((resolve) => {
    start = resolve;
  });
  let lastMs = Number.NEGATIVE_INFINITY;
  const onProgress = ({ doneBytes, totalBytes }: Progress): void => {
    start();
    const nowMs = performance.now();
    if (nowMs - lastMs < progressIntervalMs || lines.writableNeedDrain) return;
    lastMs = nowMs;
    writeLine(lines, { type: 'progress', doneBytes, totalBytes });
  };

  const running = job({ signal: abort.signal, onProgress });
  await Promise.race([started, running]);
  void running
    .then(
      (result) => writeLine(lines, { type: 'result', ...result }),
      (error: unknown) => writeLine(lines, { type: 'error', code: errorCode(error), message: errorMessage(error) }),
    )
    .finally(() => lines.end());
  return lines;
}

function writeLine(lines: PassThrough, line: object): void {
  if (!lines.destroyed && !lines.writableEnded) lines.write(`${JSON.stringify(line)}\n`);
}
