/** Reads the lines that tell of a job: the other end of `job-stream.ts`. */
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Progress } from './control.js';
import { DaemonAnswerError } from './daemon-error.js';

type Line<T> = ({ type: 'progress' } & Progress) | ({ type: 'result' } & T) | { type: 'error'; code: string; message: string };

/**
 * @returns the job's result, or `undefined` when the stream ended without one
 * @throws DaemonAnswerError with the code of the job's error
 */
export async function readJob<T extends Progress>(body: Readable, onProgress: (progress: Progress) => void): Promise<T | undefined> {
  for await (const text of createInterface({ input: body })) {
    const line = JSON.parse(text) as Line<T>;
    if (line.type === 'error') throw new DaemonAnswerError(line.code, line.message);
    if (line.type === 'progress') {
      onProgress({ doneBytes: line.doneBytes, totalBytes: line.totalBytes });
    } else {
      const { type: _, ...result } = line;
      return result as unknown as T;
    }
  }
  return undefined;
}
