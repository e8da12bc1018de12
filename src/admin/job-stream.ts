/**
 * A job over HTTP: newline-delimited JSON while it runs, and its end when nobody listens any more.
 *
 * Invariants: nothing is sent before the first progress, so that a job that fails at once is an ordinary error; progress is
 * dropped, never queued, when the client is slower than the job; the last line is `result` or `error`.
 */

import type { ServerResponse } from 'node:http';
import { PassThrough } from 'node:stream';
import { errorCode, errorMessage } from '../base/error.js';
import type { JobOptions, Progress } from '../base/job.js';

/** The least time between two progress lines. */
const progressIntervalMs = 100;

/**
 * Starts the job and resolves to the lines that tell of it, once there is something to tell. The job's signal is aborted when
 * `response` is closed before it is finished.
 *
 * @throws what the job throws, if that comes before its first progress
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
  // The client may go away at any time: what was still to be said is then nobody's concern.
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
