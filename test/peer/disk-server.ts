/** Disks for a real server of peer exports: each kind answers as a test says. */
import { BlockState, blockBytes, OverlayReadNow } from '../../src/base/native/overlay.js';
import type { PeerOverlay } from '../../src/peer/server/blocks-device.js';
import type { AnswerCall } from '../../src/peer/server/call-limiter.js';
import type { PeerContents } from '../../src/peer/server/directory.js';
import { TestContents } from './peer-server.js';

export const uuid = '0b54a3cd-92f9-4b6c-9a5e-0a64c3a1f5d2';

export class TestDisks extends TestContents implements PeerContents {
  disk?: NonNullable<PeerContents['disk']>;
  blocks?: NonNullable<PeerContents['blocks']>;
  map?: NonNullable<PeerContents['map']>;
  call?: AnswerCall;
}

/** An overlay in memory: what the exports of blocks use of one. */
export class MemoryOverlay implements PeerOverlay {
  readonly content: Buffer;
  readonly states: Uint8Array;
  /** Whether its bytes count as being in the page cache. */
  isCached = false;
  readCount = 0;

  /** All base. */
  constructor(content: Buffer) {
    this.content = content;
    this.states = new Uint8Array(content.length / blockBytes);
  }

  get sizeBytes(): number {
    return this.content.length;
  }

  readNow(target: Uint8Array, targetStart: number, lengthBytes: number, offset: number): number {
    if (!this.isCached) return OverlayReadNow.wouldBlock;
    return this.#fill(target, targetStart, lengthBytes, offset) ? OverlayReadNow.hit : OverlayReadNow.mixed;
  }

  isZero(offset: number, lengthBytes: number): boolean {
    return this.#statesOf(offset, lengthBytes).every((state) => state === BlockState.zero);
  }

  async read(target: Uint8Array, targetStart: number, lengthBytes: number, offset: number): Promise<boolean> {
    this.readCount += 1;
    return this.#fill(target, targetStart, lengthBytes, offset);
  }

  runs(offset: number, lengthBytes: number, maxRuns: number): Float64Array {
    const runs: number[] = [];
    for (let at = offset; at < offset + lengthBytes; ) {
      const byte = this.states[Math.floor(at / blockBytes)] ?? 0;
      const end = Math.min(offset + lengthBytes, (Math.floor(at / blockBytes) + 1) * blockBytes);
      const last = runs.length - 3;
      if (last >= 0 && runs[last] === (byte & 3) && runs[last + 1] === byte >> 3) runs[last + 2] = (runs[last + 2] ?? 0) + end - at;
      else if (runs.length / 3 === maxRuns) break;
      else runs.push(byte & 3, byte >> 3, end - at);
      at = end;
    }
    return Float64Array.from(runs);
  }

  #statesOf(offset: number, lengthBytes: number): number[] {
    const [first, end] = [Math.floor(offset / blockBytes), Math.ceil((offset + lengthBytes) / blockBytes)];
    return [...this.states.subarray(first, end)].map((byte) => byte & 3);
  }

  #fill(target: Uint8Array, targetStart: number, lengthBytes: number, offset: number): boolean {
    const states = this.#statesOf(offset, lengthBytes);
    if (states.some((state) => state === BlockState.base || state === BlockState.remote)) return false;
    target.set(this.content.subarray(offset, offset + lengthBytes), targetStart);
    return true;
  }
}

export async function codeOf(request: Promise<unknown>): Promise<unknown> {
  try {
    await request;
    return 'none';
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
}
