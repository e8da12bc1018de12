/**
 * The way out of a connection: collects replies and sends them with as few writes as possible.
 *
 * Replies to hits are put one behind another into a batch buffer that leaves as one write at the end of the input chunk. Replies that come later are corked together until
 * the event loop's check phase, so that all completions of one poll leave as one writev.
 *
 * Invariants: a buffer goes back to its pool when the stream has taken all of it, never earlier. Nothing leaves while the
 * lease that it was answered under is not valid: it waits, and when the lease is lost the connection ends. So under a
 * lease nothing is given to the stream while something before it has not left: it could not be held back any more.
 */
import type { Duplex } from 'node:stream';
import { KiB } from '../base/size.js';
import type { AnswerLease } from '../device/device.js';
import type { RequestMemory } from './request-memory.js';

/** Payload of a batch buffer: 32 replies of 4 KiB with their headers, twice. */
export const batchBytes = 256 * KiB;

export class ReplyStream {
  readonly #stream: Duplex;
  readonly #memory: RequestMemory;
  readonly #onSent: () => void;
  readonly #device: { readonly lease?: AnswerLease | undefined };
  /** Leases of what has not left, mostly none or one. */
  readonly #leases = new Set<AnswerLease>();
  #batch: Buffer | undefined;
  #batchBytes = 0;
  #corked = false;
  /** Writes that were made, those of them that may have left, and those that have. */
  #writtenCount = 0;
  #leavingCount = 0;
  #leftCount = 0;
  /** What is corked leaves when what is before it has left. */
  #isNext = false;
  /** Bytes of buffers that are held and of replies that have not left. */
  #heldBytes = 0;

  /**
   * @param onSent called when held memory became free
   * @param device answers what is sent
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
   * Room for a reply of at most `lengthBytes` (up to `batchBytes`) at `batchAt` of the returned buffer; `commit` what was used of it.
   * `undefined`: no memory just now, `onSent` will be called.
   */
  room(lengthBytes: number): Buffer | undefined {
    if (this.#batch !== undefined && this.#batchBytes + lengthBytes > this.#batch.length) this.flush();
    this.#batch ??= this.take(batchBytes);
    return this.#batch;
  }

  get batchAt(): number {
    return this.#batchBytes;
  }

  /** The batch is filled up to `end`. */
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
    // Looked at last, before it leaves.
    const waits = !this.#corked && this.#leases.size > 0;
    if (waits) this.#cork();
    this.#write(batch.subarray(0, usedBytes), batch);
    if (waits) this.#leave();
  }

  /** A buffer for a request or its reply, to be given to `send` or `give`. `undefined`: no memory just now. */
  take(lengthBytes: number): Buffer | undefined {
    let buffer = this.#memory.tryTake(lengthBytes, this.#heldBytes === 0);
    if (buffer === undefined && this.#batch !== undefined && this.#batchBytes === 0) {
      // An empty batch is never sent, so nobody would be told when it is free.
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

  /** Sends pieces in order, with whatever else is sent in this turn of the event loop. `owner`, from `take`, is given back when they left. */
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

  /** The first lease that has passed; those that hold are forgotten, because what was answered under them leaves now. */
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

  /** Sends what is corked, when its leases hold. */
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
    // Replies without a buffer of their own (errors, block status) count too: a client may ask for many and read none.
    if (owner === undefined) this.#heldBytes += piece.length;
    this.#writtenCount += 1;
    if (!this.#corked) this.#leavingCount = this.#writtenCount;
    // Called on failure too, so nothing is kept when the connection dies.
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
