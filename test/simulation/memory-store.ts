/**
 * A host's disk: the same answers as `ChunkStore` over the addon, from memory, each after a moment of simulated time.
 *
 * Bytes are compared with the image's when they are stored, and only wrong ones are kept: a thousand hosts fit into memory.
 */
import { ChunkState, type ChunkStateValue } from '../../src/base/native/chunk.js';
import type { ChunkStore } from '../../src/cache/store/chunk-store.js';
import type { Chance } from './chance.js';
import { chunkBytes, type Image } from './image.js';
import type { Owner, Schedule } from './schedule.js';

export interface Disk {
  states: Uint8Array;
  /** Chunks whose bytes are not the image's. */
  wrong: Map<number, Buffer>;
}

export function emptyDisk(image: Image): Disk {
  return { states: new Uint8Array(image.chunkCount), wrong: new Map() };
}

/** What a process finds after another one was killed: nothing is trusted unless it was checked. */
export function afterUncleanEnd(disk: Disk): void {
  for (const [chunk, state] of disk.states.entries()) if (state === ChunkState.present) disk.states[chunk] = ChunkState.unverified;
}

export interface MemoryStoreOptions {
  image: Image;
  disk: Disk;
  schedule: Schedule;
  chance: Chance;
  owner: Owner;
}

export class MemoryStore {
  readonly sizeBytes: number;
  readonly chunkBytes = chunkBytes;
  readonly chunkCount: number;
  readonly zeroBytes = 0;
  readonly #options: MemoryStoreOptions;
  readonly #used = new Set<number>();
  readonly #touched = new Set<number>();
  readonly #pins = new Map<number, number>();
  readonly #busy = new Set<number>();
  readonly #evicting = new Map<number, Promise<unknown>>();
  #lastStore: Promise<unknown> = Promise.resolve();
  #dataChunks = 0;
  #bytesListener: (dataBytes: number) => void = () => {};

  constructor(options: MemoryStoreOptions) {
    this.#options = options;
    this.sizeBytes = options.image.sizeBytes;
    this.chunkCount = options.image.chunkCount;
    for (const state of options.disk.states) if (hasData(state)) this.#dataChunks += 1;
  }

  /** The one place that says so: the cache asks a store for nothing but what is here. */
  asChunkStore(): ChunkStore {
    return this as unknown as ChunkStore;
  }

  get dataBytes(): number {
    return this.#dataChunks * chunkBytes;
  }

  onDataBytes(listener: (dataBytes: number) => void): void {
    this.#bytesListener = listener;
    listener(this.dataBytes);
  }

  state(chunkIndex: number): ChunkStateValue {
    return (this.#options.disk.states[chunkIndex] ?? ChunkState.absent) as ChunkStateValue;
  }

  isHeld(chunkIndex: number): boolean {
    const state = this.state(chunkIndex);
    return state === ChunkState.present || state === ChunkState.zero;
  }

  get touchedCount(): number {
    return this.#touched.size;
  }

  isTouched(chunkIndex: number): boolean {
    return this.#touched.has(chunkIndex);
  }

  touch(firstIndex: number, chunkCount: number): void {
    for (let chunk = firstIndex; chunk < firstIndex + chunkCount; chunk += 1) this.#touched.add(chunk);
  }

  /** Nobody reads past the cache here. */
  setMark(): void {}

  /** Whether it could be served: held, or to be checked, and right. */
  couldServe(chunkIndex: number): boolean {
    return this.state(chunkIndex) !== ChunkState.absent && !this.#options.disk.wrong.has(chunkIndex) && !this.#busy.has(chunkIndex);
  }

  runs(firstIndex: number, chunkCount: number, maxRuns: number): Uint32Array {
    this.#options.schedule.touch();
    const { states } = this.#options.disk;
    const runs: number[] = [];
    const end = Math.min(firstIndex + chunkCount, this.chunkCount);
    for (let start = firstIndex; start < end && runs.length < 2 * maxRuns; ) {
      const state = states[start] ?? 0;
      let next = start + 1;
      while (next < end && states[next] === state) next += 1;
      runs.push(state, next - start);
      start = next;
    }
    return Uint32Array.from(runs);
  }

  isZero(offset: number, lengthBytes: number): boolean {
    return this.#all(offset, lengthBytes, (chunk) => this.state(chunk) === ChunkState.zero);
  }

  lengthOf(): number {
    return chunkBytes;
  }

  readNow(target: Uint8Array, targetStart: number, lengthBytes: number, offset: number): boolean {
    const inPageCache = this.#options.chance.happens(0.8);
    if (!inPageCache || !this.#all(offset, lengthBytes, (chunk) => this.isHeld(chunk))) return false;
    this.#copy(target, targetStart, lengthBytes, offset);
    return true;
  }

  async read(target: Uint8Array, targetStart: number, lengthBytes: number, offset: number): Promise<boolean> {
    const chunks = [...this.#options.image.chunksOf(offset, lengthBytes)];
    if (!chunks.every((chunk) => this.isHeld(chunk))) return false;
    for (const chunk of chunks) this.#pins.set(chunk, (this.#pins.get(chunk) ?? 0) + 1);
    await this.#pause();
    this.#copy(target, targetStart, lengthBytes, offset);
    for (const chunk of chunks) this.#pins.set(chunk, (this.#pins.get(chunk) ?? 1) - 1);
    return true;
  }

  store(chunkIndex: number, source: Uint8Array): Promise<ChunkStateValue> {
    const store = async (): Promise<ChunkStateValue> => {
      await this.#evicting.get(chunkIndex);
      if (this.isHeld(chunkIndex)) return this.state(chunkIndex);
      this.#begin(chunkIndex);
      await this.#pause();
      const { image, disk } = this.#options;
      this.#busy.delete(chunkIndex);
      if (image.matches(chunkIndex, source)) disk.wrong.delete(chunkIndex);
      else disk.wrong.set(chunkIndex, Buffer.from(source));
      this.#enter(chunkIndex, image.isZero(chunkIndex) && !disk.wrong.has(chunkIndex) ? ChunkState.zero : ChunkState.present);
      return this.state(chunkIndex);
    };
    const stored = this.#lastStore.then(store, store);
    this.#lastStore = stored;
    return stored;
  }

  async storeZero(chunkIndex: number): Promise<void> {
    await this.#evicting.get(chunkIndex);
    const { image, disk } = this.#options;
    if (!image.isZero(chunkIndex)) disk.wrong.set(chunkIndex, Buffer.alloc(chunkBytes));
    this.#enter(chunkIndex, ChunkState.zero);
  }

  async readRaw(chunkIndex: number): Promise<Buffer> {
    await this.#pause();
    return this.#bytes(chunkIndex);
  }

  async verify(chunkIndex: number): Promise<boolean> {
    await this.#evicting.get(chunkIndex);
    if (this.state(chunkIndex) === ChunkState.absent) return true;
    this.#begin(chunkIndex);
    await this.#pause();
    this.#busy.delete(chunkIndex);
    // Stored wrong ones have a right checksum; those that rotted on the disk have not.
    const isRight = !this.#options.disk.wrong.has(chunkIndex);
    this.#enter(chunkIndex, isRight ? ChunkState.present : ChunkState.absent);
    return isRight;
  }

  sweep(handIndex: number, maxScan: number, maxCount: number): Uint32Array {
    this.#options.schedule.touch();
    const found: number[] = [];
    let at = handIndex;
    for (let scanned = 0; scanned < Math.min(maxScan, this.chunkCount) && found.length < maxCount; scanned += 1) {
      const chunk = at;
      at = (at + 1) % this.chunkCount;
      if (!hasData(this.state(chunk)) || (this.#pins.get(chunk) ?? 0) > 0 || this.#busy.has(chunk)) continue;
      if (!this.#used.delete(chunk)) found.push(chunk);
    }
    return Uint32Array.of(at, ...found);
  }

  async evict(chunkIndices: Uint32Array): Promise<number> {
    const going = [...chunkIndices].filter((chunk) => {
      return hasData(this.state(chunk)) && (this.#pins.get(chunk) ?? 0) === 0 && !this.#busy.has(chunk);
    });
    for (const chunk of going) {
      this.#enter(chunk, ChunkState.absent);
      this.#busy.add(chunk);
    }
    const done = this.#pause().then(() => {
      for (const chunk of going) this.#busy.delete(chunk);
    });
    for (const chunk of going) this.#evicting.set(chunk, done);
    await done;
    for (const chunk of going) if (this.#evicting.get(chunk) === done) this.#evicting.delete(chunk);
    return going.length * chunkBytes;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #all(offset: number, lengthBytes: number, test: (chunkIndex: number) => boolean): boolean {
    for (const chunk of this.#options.image.chunksOf(offset, lengthBytes)) if (!test(chunk)) return false;
    return true;
  }

  #begin(chunkIndex: number): void {
    if (this.#busy.has(chunkIndex)) throw Object.assign(new Error(`chunk ${chunkIndex} is busy`), { code: 'EBUSY' });
    this.#busy.add(chunkIndex);
  }

  #enter(chunkIndex: number, state: ChunkStateValue): void {
    this.#options.schedule.touch();
    this.#dataChunks += Number(hasData(state)) - Number(hasData(this.state(chunkIndex)));
    this.#options.disk.states[chunkIndex] = state;
    if (state === ChunkState.absent) this.#options.disk.wrong.delete(chunkIndex);
    this.#bytesListener(this.dataBytes);
  }

  #bytes(chunkIndex: number): Buffer {
    return this.#options.disk.wrong.get(chunkIndex) ?? this.#options.image.chunk(chunkIndex);
  }

  #copy(target: Uint8Array, targetStart: number, lengthBytes: number, offset: number): void {
    for (const chunk of this.#options.image.chunksOf(offset, lengthBytes)) {
      this.#used.add(chunk);
      const from = Math.max(offset, chunk * chunkBytes);
      const to = Math.min(offset + lengthBytes, (chunk + 1) * chunkBytes);
      this.#bytes(chunk).copy(target, targetStart + from - offset, from - chunk * chunkBytes, to - chunk * chunkBytes);
    }
  }

  #pause(): Promise<void> {
    const { schedule, chance, owner } = this.#options;
    return schedule.pause(chance.between(0.05, 1.5), owner);
  }
}

function hasData(state: number): boolean {
  return state === ChunkState.present || state === ChunkState.unverified;
}
