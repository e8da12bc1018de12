/** Guests that read at random places until they are told to stop, and compare every byte. */

import { until } from '../../support/wait.js';
import { type ClusterNode, imageName } from './node.js';

/** Seeded (mulberry32): 0 up to 1. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class Readers {
  /** Reads that were answered rightly. */
  readCount = 0;
  /** By node. */
  readonly counts = new Map<string, number>();
  /** What went wrong, for people. */
  readonly failures: string[] = [];
  /** Reads go to the first so many bytes, and most of them near their end. */
  windowBytes = 0;
  /** Nodes that a test ended: their guests come back with them. */
  readonly down = new Set<ClusterNode>();
  readonly #bytes: Buffer;
  readonly #loops: Promise<void>[] = [];
  #stopped = false;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** One more guest of the node. */
  add(node: ClusterNode, seed: number): void {
    this.#loops.push(this.#run(node, randomOf(seed)));
  }

  /** Resolves when so many more reads were answered, over all guests. */
  async progress(count: number): Promise<void> {
    const target = this.readCount + count;
    await until(`${count} more reads`, () => this.readCount >= target || this.failures.length > 0);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
  }

  async #run(node: ClusterNode, random: () => number): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#guest(node, random);
      } catch (error) {
        if (!this.down.has(node)) this.failures.push(`${node.id}: ${String(error)}`);
        // However long that takes: the test has guards of its own.
        while (this.down.has(node) && !this.#stopped) await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  async #guest(node: ClusterNode, random: () => number): Promise<void> {
    const session = await node.attach(imageName);
    while (!this.#stopped && !this.down.has(node)) {
      const lengthBytes = 512 * (1 + Math.floor(random() * 300));
      const near = random() < 0.7 ? this.windowBytes - 4 * 2 ** 20 : 0;
      const offset = 512 * Math.floor((near + random() * (this.windowBytes - near - lengthBytes)) / 512);
      const { error, message, data } = await session.read(Math.max(0, offset), lengthBytes);
      if (error !== 0) this.failures.push(`${node.id}: ${lengthBytes} bytes at ${offset}: error ${error} ${message}`);
      else if (!data.equals(this.#bytes.subarray(Math.max(0, offset), Math.max(0, offset) + lengthBytes))) {
        this.failures.push(`${node.id}: ${lengthBytes} bytes at ${offset}: wrong`);
      }
      this.readCount += 1;
      this.counts.set(node.id, (this.counts.get(node.id) ?? 0) + 1);
    }
    session.bytes.destroy();
  }
}
