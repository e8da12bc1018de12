/** A real store whose disk fails when a test says so. */
import { ChunkStore } from '../../src/cache/store/chunk-store.js';

type Fault = (chunkIndex: number) => Error | undefined;

export class FaultyStore extends ChunkStore {
  /** Each is asked before the call goes to the disk; what it returns is what the disk says instead. */
  onRead: Fault | undefined;
  onStore: Fault | undefined;
  onVerify: Fault | undefined;
  onEvict: Fault | undefined;
  /** Stores wait for it. */
  storeGate: Promise<void> = Promise.resolve();

  override async read(target: Uint8Array, targetStart: number, lengthBytes: number, offset: number): Promise<boolean> {
    const last = Math.floor((offset + lengthBytes - 1) / this.chunkBytes);
    for (let chunk = Math.floor(offset / this.chunkBytes); chunk <= last; chunk += 1) throwIfAny(this.onRead?.(chunk));
    return super.read(target, targetStart, lengthBytes, offset);
  }

  override async store(chunkIndex: number, source: Uint8Array) {
    await this.storeGate;
    throwIfAny(this.onStore?.(chunkIndex));
    return super.store(chunkIndex, source);
  }

  override async verify(chunkIndex: number): Promise<boolean> {
    throwIfAny(this.onVerify?.(chunkIndex));
    return super.verify(chunkIndex);
  }

  override async evict(chunkIndices: Uint32Array): Promise<number> {
    for (const chunk of chunkIndices) throwIfAny(this.onEvict?.(chunk));
    return super.evict(chunkIndices);
  }
}

function throwIfAny(error: Error | undefined): void {
  if (error !== undefined) throw error;
}

/** What the system would say. */
export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code });
}
