/** What the guest says of its records (guest/writer.c), with the time at which it was heard. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { CopseError } from '../../../../src/base/error.js';
import { foreignErrorCode } from '../../../../src/base/error-code.js';

export interface WrittenRecord {
  number: number;
  /** Milliseconds since 1970. */
  atMs: number;
}

/** Many times what a boot takes, or the slowest way to move the guest. */
const patienceMs = 240_000;

export class RecordLog {
  readonly written: WrittenRecord[] = [];
  /** What the guest found wrong. Must stay empty. */
  readonly bad: string[] = [];
  readonly #socket: Socket;
  #waiters: { count: number; resolve: () => void; reject: (error: Error) => void }[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    createInterface({ input: socket })
      .on('line', (line) => this.#take(line))
      .on('error', () => undefined);
    socket.on('error', () => undefined).on('close', () => this.#close());
  }

  /** @param path socket of the serial port */
  static async connect(path: string): Promise<RecordLog> {
    const socket = connect(path);
    await once(socket, 'connect');
    return new RecordLog(socket);
  }

  /** Resolves once this many records were written here. @throws CopseError `ERR_QEMU` when the guest goes before, or does not get that far */
  async count(count: number): Promise<void> {
    if (this.written.length >= count) return;
    let giveUp: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        this.#waiters.push({ count, resolve, reject });
        const fail = (): void =>
          reject(
            new CopseError(
              foreignErrorCode('ERR_QEMU'),
              `the guest wrote ${this.written.length} records here; ${this.bad.slice(0, 3).join('; ')}`,
            ),
          );
        giveUp = setTimeout(fail, patienceMs);
      });
    } finally {
      clearTimeout(giveUp);
    }
  }

  #take(line: string): void {
    const [, number] = /^WROTE (\d+)\s*$/.exec(line) ?? [];
    if (number === undefined) {
      // The first line after a migration may be the end of one that began at the source.
      if (line.startsWith('BAD')) this.bad.push(line.trim());
      return;
    }
    this.written.push({ number: Number(number), atMs: performance.timeOrigin + performance.now() });
    const enough = this.#waiters.filter(({ count }) => count <= this.written.length);
    this.#waiters = this.#waiters.filter(({ count }) => count > this.written.length);
    for (const { resolve } of enough) resolve();
  }

  #close(): void {
    this.#socket.destroy();
    for (const { reject } of this.#waiters) reject(new CopseError(foreignErrorCode('ERR_QEMU'), 'the guest is gone'));
    this.#waiters = [];
  }
}
