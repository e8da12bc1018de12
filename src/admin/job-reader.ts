/** Reads the lines of a job's answer, which `job-stream.ts` writes. */

import type { Readable } from 'node:stream';
import { CopseError } from '../base/error.js';
import { foreignErrorCode } from '../base/error-code.js';
import type { Progress } from '../base/job.js';
import { DaemonAnswerError } from './daemon-error.js';

type Line<T> = ({ type: 'progress' } & Progress) | ({ type: 'result' } & T) | { type: 'error'; code: string; message: string };

/** Longest line, in characters. A daemon's lines are far shorter. */
const maxLineLength = 64 * 1024;

/**
 * Reads to the end of the stream, so that no part of it is left to fail later.
 *
 * @returns the job's result, or `undefined` when the stream ended without one
 * @throws DaemonAnswerError with the code of the job's error; the stream's own error
 */
export async function readJob<T extends Progress>(body: Readable, onProgress: (progress: Progress) => void): Promise<T | undefined> {
  let end: Line<T> | undefined;
  for await (const text of linesOf(body)) {
    const line = JSON.parse(text) as Line<T>;
    if (line.type === 'progress') onProgress({ doneBytes: line.doneBytes, totalBytes: line.totalBytes });
    else end = line;
  }
  if (end?.type === 'error') throw new DaemonAnswerError(foreignErrorCode(end.code), end.message);
  if (end?.type !== 'result') return undefined;
  const { type: _, ...result } = end;
  return result as unknown as T;
}

async function* linesOf(body: Readable): AsyncGenerator<string> {
  body.setEncoding('utf8');
  let rest = '';
  for await (const piece of body as AsyncIterable<string>) {
    const lines = (rest + piece).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > maxLineLength)
      throw new CopseError('ERR_ADMIN_PROTOCOL', 'the answer is one endless line: another program than a copse daemon answers there');
    yield* lines;
  }
}
