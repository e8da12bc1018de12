/**
 * A guest that boots by a recorded trace and believes nothing: every byte is compared with the image.
 *
 * It goes on after an error, as a guest's retry would, so that all errors are counted; a guest whose host died is told to stop.
 */
import { open } from 'node:fs/promises';
import { errorMessage } from '../../../../src/base/error.js';
import { NbdClient } from '../../../../src/nbd/client/nbd-client.js';
import type { Trace } from '../../harness/trace.js';
import { replay } from '../../load/reader.js';
import type { RunningServer } from '../../server/server.js';

/** The bytes that the trace reads, in memory; shared by all guests. */
export class ExpectedContent {
  readonly #byRead: ReadonlyMap<string, Buffer>;

  private constructor(byRead: ReadonlyMap<string, Buffer>) {
    this.#byRead = byRead;
  }

  static async load(path: string, reads: readonly { offset: number; lengthBytes: number }[]): Promise<ExpectedContent> {
    const file = await open(path);
    try {
      const byRead = new Map<string, Buffer>();
      for (const { offset, lengthBytes } of reads) {
        const content = Buffer.alloc(lengthBytes);
        await file.read(content, 0, lengthBytes, offset);
        byRead.set(`${offset}+${lengthBytes}`, content);
      }
      return new ExpectedContent(byRead);
    } finally {
      await file.close();
    }
  }

  of(offset: number, lengthBytes: number): Buffer {
    const content = this.#byRead.get(`${offset}+${lengthBytes}`);
    if (content === undefined) throw new Error(`${lengthBytes} bytes at ${offset} are not in the trace`);
    return content;
  }
}

export interface GuestReport {
  /** To the answer of the last read. */
  seconds: number;
  readCount: number;
  /** Messages of reads that failed. */
  errors: string[];
  /** Reads that were answered with other bytes than the image's. */
  wrongReads: number;
  /** The slowest answers, milliseconds, greatest first, at most 5. */
  slowestMs: number[];
}

export interface GuestOptions {
  keepGaps: boolean;
  /** Before each read: how many were answered so far. */
  onRead?: ((doneCount: number) => void) | undefined;
  /** Ends the guest: its host is gone. What fails from then on is no error. */
  isGone?: (() => boolean) | undefined;
}

export async function bootByTrace(
  server: Pick<RunningServer, 'socketPath' | 'exportName'>,
  trace: Trace,
  expected: ExpectedContent,
  options: GuestOptions,
): Promise<GuestReport> {
  const client = await NbdClient.connect({ path: server.socketPath }, { exportName: server.exportName });
  const report: GuestReport = { seconds: 0, readCount: 0, errors: [], wrongReads: 0, slowestMs: [] };
  const read = async (offset: number, lengthBytes: number): Promise<void> => {
    options.onRead?.(report.readCount);
    if (options.isGone?.()) return;
    const beganMs = performance.now();
    try {
      if (!(await readAndCompare(client, expected.of(offset, lengthBytes), offset))) report.wrongReads += 1;
    } catch (error) {
      if (!options.isGone?.()) report.errors.push(`${lengthBytes} bytes at ${offset}: ${errorMessage(error)}`);
    }
    report.readCount += 1;
    report.slowestMs = [...report.slowestMs, performance.now() - beganMs].sort((a, b) => b - a).slice(0, 5);
  };
  try {
    report.seconds = (await replay({ read, close: async () => {} }, trace, options.keepGaps)).seconds;
    return report;
  } finally {
    await client.disconnect().catch(() => {});
  }
}

/** Are they the image's bytes, all of them? */
async function readAndCompare(client: NbdClient, wanted: Buffer, offset: number): Promise<boolean> {
  let rightBytes = 0;
  await client.read(offset, wanted.length, {
    data(piece, at) {
      const from = at - offset;
      if (wanted.subarray(from, from + piece.length).equals(piece)) rightBytes += piece.length;
    },
    zeroes(at, lengthBytes) {
      const from = at - offset;
      if (wanted.subarray(from, from + lengthBytes).every((byte) => byte === 0)) rightBytes += lengthBytes;
    },
  });
  return rightBytes === wanted.length;
}
