/** A guest's serial port on one host: what it says there (guest/scribe.c), and what it is told. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { until } from '../support/wait.js';

export class GuestConsole {
  /** Numbers of records that the guest said were durable, in its order. */
  readonly written: number[] = [];
  /** How often it said that it rests. */
  idleCount = 0;
  /** What it found wrong, as far as it was said here. */
  readonly bad: string[] = [];
  /** How often it found something wrong so far, wherever that was said; NaN before it said anything. */
  badCount = Number.NaN;
  isReady = false;
  /** Records that were read in the last check. */
  checkedCount: number | undefined;
  /** The last lines, whatever they are: for a failure. */
  readonly last: string[] = [];
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    createInterface({ input: socket })
      .on('line', (line) => this.#take(line.trim()))
      .on('error', () => undefined);
    socket.on('error', () => undefined);
  }

  /** @param path socket of the serial port */
  static async connect(path: string): Promise<GuestConsole> {
    const socket = connect(path);
    await once(socket, 'connect');
    return new GuestConsole(socket);
  }

  tell(order: 'write' | 'idle'): void {
    this.#socket.write(`${order}\n`);
  }

  /** Resolves once it has written so many more records. */
  async writes(count: number): Promise<void> {
    const wanted = this.written.length + count;
    await until(
      `${count} records`,
      async () => this.written.length >= wanted,
      async () => ({ written: this.written.length, last: this.last }),
    );
  }

  /** Resolves once it has said so many times more that it rests. */
  async rests(count: number): Promise<void> {
    const wanted = this.idleCount + count;
    await until('a guest at rest', async () => this.idleCount >= wanted);
  }

  async ready(): Promise<void> {
    await until('the guest', async () => this.isReady);
  }

  /** Has the guest rest, and read all that it wrote. Resolves to how many records that were. */
  async check(): Promise<number> {
    this.checkedCount = undefined;
    this.#socket.write('check\n');
    return until('the check', async () => this.checkedCount);
  }

  /** The first line after a migration may be the end of one that began at the source: it is none of these. */
  #take(line: string): void {
    this.last.push(line);
    if (this.last.length > 40) this.last.shift();
    const [, word, number, badCount] = /^(WROTE|IDLE|CHECKED) (\d+) (\d+)$/.exec(line) ?? [];
    if (word !== undefined) this.badCount = Number(badCount);
    if (word === 'WROTE') this.written.push(Number(number));
    if (word === 'IDLE') this.idleCount += 1;
    if (word === 'CHECKED') this.checkedCount = Number(number);
    if (line === 'READY' || word !== undefined) this.isReady = true;
    if (line.startsWith('BAD')) this.bad.push(line);
  }
}
