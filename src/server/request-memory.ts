/**
 * Memory for requests and replies, bounded and shared by all connections.
 *
 * A connection that has nothing under way always gets its buffer, even beyond the bound. So clients
 * that stop reading can't starve other clients. The excess is at most one request per connection.
 *
 * A buffer that is not kept gives its pages back to the kernel at once. The garbage collector may
 * free the buffer itself much later, in an idle daemon perhaps never.
 *
 * Buffers have 64 bytes and a power of two (a header and a payload). They are used again, because
 * fresh memory costs a page fault per 4 KiB.
 */
import { native } from '../base/native/loader.js';
import { KiB, MiB } from '../base/size.js';

/** Room for any header in front of a payload. */
export const headerRoomBytes = 64;
const minPayloadBytes = 4 * KiB;
/** Bound on the payload of a buffer that is kept. */
const maxKeptPayloadBytes = 2 * MiB;

export class RequestMemory {
  readonly #limitBytes: number;
  readonly #keepLimitBytes: number;
  readonly #free = new Map<number, Buffer[]>();
  #takenBytes = 0;
  #keptBytes = 0;

  /**
   * @param limitBytes bound on the memory that is taken; an eighth of it, at most 32 MiB, is kept
   * for reuse
   */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
    this.#keepLimitBytes = Math.min(32 * MiB, limitBytes / 8);
  }

  get takenBytes(): number {
    return this.#takenBytes;
  }

  /**
   * Takes a buffer of at least `lengthBytes` with undefined content, which goes back by `give`.
   * `undefined` means the bound is reached.
   *
   * @param always true to grant it beyond the bound: the connection has nothing else under way
   */
  tryTake(lengthBytes: number, always: boolean): Buffer | undefined {
    const sizeBytes = bufferBytes(lengthBytes);
    if (!always && this.#takenBytes + sizeBytes > this.#limitBytes) return undefined;
    this.#takenBytes += sizeBytes;
    const kept = this.#free.get(sizeBytes)?.pop();
    if (kept === undefined) return Buffer.allocUnsafeSlow(sizeBytes);
    this.#keptBytes -= sizeBytes;
    return kept;
  }

  give(buffer: Buffer): void {
    const sizeBytes = buffer.length;
    this.#takenBytes -= sizeBytes;
    if (sizeBytes > maxKeptPayloadBytes + headerRoomBytes) {
      native.discardMemory(buffer);
      return;
    }
    const kept = this.#free.get(sizeBytes) ?? [];
    // The size that is in use moves to the end. Kept buffers of other sizes make room for it.
    this.#free.delete(sizeBytes);
    for (const [otherBytes, others] of this.#free) {
      if (this.#keptBytes + sizeBytes <= this.#keepLimitBytes) break;
      const dropCount = Math.min(others.length, Math.ceil((this.#keptBytes + sizeBytes - this.#keepLimitBytes) / otherBytes));
      for (const dropped of others.splice(others.length - dropCount)) native.discardMemory(dropped);
      this.#keptBytes -= dropCount * otherBytes;
      if (others.length === 0) this.#free.delete(otherBytes);
    }
    this.#free.set(sizeBytes, kept);
    if (this.#keptBytes + sizeBytes > this.#keepLimitBytes) {
      native.discardMemory(buffer);
      return;
    }
    kept.push(buffer);
    this.#keptBytes += sizeBytes;
  }
}

function bufferBytes(lengthBytes: number): number {
  const payloadBytes = Math.max(minPayloadBytes, lengthBytes - headerRoomBytes);
  return 2 ** Math.ceil(Math.log2(payloadBytes)) + headerRoomBytes;
}
