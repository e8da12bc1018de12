/**
 * A guest that asks for something all the time: writes, FUA writes, flushes and reads, many at once, over two
 * connections. Counts what it is told was done. Whatever fails once is not asked for again.
 */
import type { Test } from 'tap';
import { NbdClient } from '../../src/nbd/client/nbd-client.js';
import type { ClusterNode } from '../cluster/fault/node.js';

export const kinds = ['write', 'fua', 'flush', 'read', 'large read'] as const;
export type Kind = (typeof kinds)[number];

const blockBytes = 4096;
const largeBytes = 256 * 1024;
const workersEach = 4;

export class BusyGuest {
  /** Requests that were answered with success, by kind. */
  readonly done: Record<Kind, number> = { write: 0, fua: 0, flush: 0, read: 0, 'large read': 0 };
  /** The same for those that were sent since `mark` was called. */
  doneSinceMark: Record<Kind, number> = { ...this.done };
  readonly errors: unknown[] = [];
  readonly #writer: NbdClient;
  readonly #reader: NbdClient;
  readonly #workers: Promise<void>[] = [];
  #mark = 0;
  #isEnded = false;
  #offsetCount = 0;

  private constructor(writer: NbdClient, reader: NbdClient) {
    this.#writer = writer;
    this.#reader = reader;
  }

  /** The disk has at least 8 MiB. Its first MiB is written when this resolves. */
  static async attach(t: Test, { socketPath }: ClusterNode, disk: string): Promise<BusyGuest> {
    const connect = () => NbdClient.connect({ path: socketPath }, { exportName: disk, maxInFlight: 64 });
    const writer = await connect();
    await writer.write(Buffer.alloc(2 ** 20, 0x11), 0);
    await writer.flush();
    const reader = await connect();
    const guest = new BusyGuest(writer, reader);
    t.teardown(() => guest.end());
    return guest;
  }

  /** Begins to ask. */
  run(): void {
    for (const kind of kinds) for (let i = 0; i < workersEach; i += 1) this.#workers.push(this.#work(kind));
  }

  /** What is sent from here on counts in `doneSinceMark`, too. */
  mark(): void {
    this.#mark += 1;
    this.doneSinceMark = { write: 0, fua: 0, flush: 0, read: 0, 'large read': 0 };
  }

  /** Asks once more for one of each, in addition. Settles when all are answered. */
  async askEach(): Promise<void> {
    await Promise.all(kinds.map((kind) => this.#once(kind)));
  }

  get total(): number {
    return totalOf(this.done);
  }

  /** Resolves when nothing is asked any more: all workers have failed, or `end` was called. */
  async failed(): Promise<void> {
    await Promise.all(this.#workers);
  }

  end(): void {
    this.#isEnded = true;
    this.#writer.destroy();
    this.#reader.destroy();
  }

  async #work(kind: Kind): Promise<void> {
    while (!this.#isEnded && (await this.#once(kind))) {
      // Until it fails.
    }
  }

  async #once(kind: Kind): Promise<boolean> {
    const mark = this.#mark;
    try {
      await this.#ask(kind);
    } catch (error) {
      this.errors.push(error);
      return false;
    }
    this.done[kind] += 1;
    if (mark === this.#mark) this.doneSinceMark[kind] += 1;
    return true;
  }

  #ask(kind: Kind): Promise<void> {
    const sink = { data: () => {}, zeroes: () => {} };
    this.#offsetCount += 1;
    const offset = (this.#offsetCount % 128) * blockBytes;
    switch (kind) {
      case 'flush':
        return this.#writer.flush();
      case 'read':
        return this.#reader.read(offset, blockBytes, sink);
      case 'large read':
        return this.#reader.read(offset, largeBytes, sink);
      default:
        return this.#writer.write(Buffer.alloc(blockBytes, 0x22), offset, { fua: kind === 'fua' });
    }
  }
}

export function totalOf(counts: Record<Kind, number>): number {
  return kinds.reduce((sum, kind) => sum + counts[kind], 0);
}
