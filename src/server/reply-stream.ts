/**
 * The way out of a connection: collects replies, and sends them with as few writes as possible.
 *
 * Replies to hits lie one behind another in a batch buffer, which leaves as one write at the end of
 * the input chunk. Later replies are corked until the event loop's check phase, so that all
 * completions of one poll leave as one writev.
 *
 * Invariants: a buffer goes back to its pool when the stream has taken all of it, never earlier. No
 * reply leaves while the lease that it was answered under is not valid. It waits, and when the
 * lease is lost the connection ends. Under a lease the stream gets nothing while an earlier write
 * has not left, because the stream could not hold that back any more.
 */
import type { Duplex } from 'node:stream';
import { KiB } from '../base/size.js';
import type { AnswerLease } from '../device/device.js';
import type { RequestMemory } from './request-memory.js';

/** Size of a batch buffer: twice 32 replies of 4 KiB with their headers. */
export const batchBytes = 256 * KiB;

export class ReplyStream {
  readonly #stream: Duplex;
  readonly #memory: RequestMemory;
  readonly #onSent: () => void;
  readonly #device: { readonly lease?: AnswerLease | undefined };
  /** Leases of the replies that have not left; mostly none or one. */
  readonly #leases = new Set<AnswerLease>();
  #batch: Buffer | undefined;
  #batchBytes = 0;
  #corked = false;
  /** Counts of the writes that were made, that may leave, and that have left. */
  #writtenCount = 0;
  #leavingCount = 0;
  #leftCount = 0;
  /** True if the corked replies leave as soon as the replies before them have left. */
  #isNext = false;
  /** Bytes of held buffers and of replies that have not left. */
  #heldBytes = 0;

  /**
   * @param onSent called when held memory became free
   * @param device the device that answers the requests; its lease covers the replies
   */
  constructor(stream: Duplex, memory: RequestMemory, onSent: () => void, device: { readonly lease?: AnswerLease | undefined } = {}) {
    this.#stream = stream;
    this.#memory = memory;
    this.#onSent = onSent;
    this.#device = device;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /**
   * Returns the batch buffer with room for a reply of `lengthBytes` (at most `batchBytes`) at
   * `batchAt`. The caller commits what it used. `undefined` means no memory yet; `onSent` follows.
   */
  room(lengthBytes: number): Buffer | undefined {
    if (this.#batch !== undefined && this.#batchBytes + lengthBytes > this.#batch.length) this.flush();
    this.#batch ??= this.take(batchBytes);
    return this.#batch;
  }

  get batchAt(): number {
    return this.#batchBytes;
  }

  /** Marks the batch as filled up to `end`. */
  commit(end: number): void {
    this.#batchBytes = end;
    this.#noteLease();
  }

  /** Sends the batch. */
  flush(): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    const usedBytes = this.#batchBytes;
    this.#batchBytes = 0;
    if (usedBytes === 0) {
      this.give(batch);
      return;
    }
    // The lease is checked last, just before the batch leaves.
    const waits = !this.#corked && this.#leases.size > 0;
    if (waits) this.#cork();
    this.#write(batch.subarray(0, usedBytes), batch);
    if (waits) this.#leave();
  }

  /**
   * Takes a buffer for a request or its reply, which goes to `send` or `give`. `undefined` means no
   * memory yet.
   */
  take(lengthBytes: number): Buffer | undefined {
    let buffer = this.#memory.tryTake(lengthBytes, this.#heldBytes === 0);
    if (buffer === undefined && this.#batch !== undefined && this.#batchBytes === 0) {
      // An empty batch is never sent, so no `onSent` would follow.
      this.flush();
      buffer = this.#memory.tryTake(lengthBytes, this.#heldBytes === 0);
    }
    if (buffer !== undefined) this.#heldBytes += buffer.length;
    return buffer;
  }

  give(buffer: Buffer): void {
    this.#heldBytes -= buffer.length;
    this.#memory.give(buffer);
  }

  /**
   * Sends pieces in order, together with all else that is sent in this turn of the event loop.
   *
   * @param owner buffer from `take` that goes back once the pieces have left
   */
  send(pieces: readonly Buffer[], owner: Buffer | undefined): void {
    this.#noteLease();
    if (!this.#corked) {
      this.#cork();
      setImmediate(() => this.#leave());
    }
    const lastIndex = pieces.length - 1;
    pieces.forEach((piece, index) => {
      this.#write(piece, index === lastIndex ? owner : undefined);
    });
  }

  #noteLease(): void {
    const { lease } = this.#device;
    if (lease !== undefined) this.#leases.add(lease);
  }

  /**
   * Returns the first lease that has passed. Leases that hold are forgotten, because their replies
   * leave now.
   */
  #passedLease(): AnswerLease | undefined {
    for (const lease of this.#leases) {
      if (!lease.isValid()) return lease;
    }
    if (this.#leases.size > 0) this.#leases.clear();
    return undefined;
  }

  #cork(): void {
    this.#corked = true;
    this.#stream.cork();
  }

  /** Sends the corked replies once their leases hold. */
  #leave(): void {
    if (this.#leases.size > 0 && this.#leftCount < this.#leavingCount && !this.#stream.destroyed) {
      this.#isNext = true;
      return;
    }
    const passed = this.#stream.destroyed ? undefined : this.#passedLease();
    if (passed === undefined) {
      this.#corked = false;
      this.#leavingCount = this.#writtenCount;
      this.#stream.uncork();
      return;
    }
    const end = (): void => void this.#stream.destroy();
    passed.settled().then((mayLeave) => (mayLeave ? this.#leave() : end()), end);
  }

  #write(piece: Buffer, owner: Buffer | undefined): void {
    if (this.#stream.destroyed || this.#stream.writableEnded) {
      if (owner !== undefined) this.give(owner);
      return;
    }
    // A reply without a buffer of its own (an error, block status) counts, too: a client may ask
    // for many and read none.
    if (owner === undefined) this.#heldBytes += piece.length;
    this.#writtenCount += 1;
    if (!this.#corked) this.#leavingCount = this.#writtenCount;
    // The callback also runs on failure, so no buffer is lost when the connection dies.
    this.#stream.write(piece, () => {
      this.#leftCount += 1;
      if (this.#isNext && this.#leftCount >= this.#leavingCount) {
        this.#isNext = false;
        this.#leave();
      }
      if (owner === undefined) this.#heldBytes -= piece.length;
      else this.give(owner);
      this.#onSent();
    });
  }
}
