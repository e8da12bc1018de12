/** The origin: counts who asked for which chunk, takes its time, and fails when the run says so. */

import { AbortedError } from '../../src/base/error.js';
import type { SourceReadOptions } from '../../src/block/read-options.js';
import type { RangeSink } from '../../src/block/sink.js';
import { type Origin, OriginError } from '../../src/origin/origin.js';
import { chunkBytes, type Image } from './image.js';
import type { Schedule } from './schedule.js';

export type OriginMood = 'well' | 'slow' | 'down' | 'mute';

export class OriginState {
  mood: OriginMood = 'well';
  /** Hosts whose way to it is cut. */
  readonly cutOff = new Set<string>();
  /** Whole chunks that came, by chunk. */
  readonly sent: Uint32Array;

  constructor(image: Image) {
    this.sent = new Uint32Array(image.chunkCount);
  }

  get sentChunks(): number {
    return this.sent.reduce((sum, count) => sum + count, 0);
  }
}

export interface SimulatedOriginOptions {
  image: Image;
  state: OriginState;
  hostId: string;
  schedule: Schedule;
  owner: { hasEnded: boolean; isStopped: boolean; defer(run: () => void): void };
  latencyMs(): number;
  onSent(chunkIndex: number): void;
}

export class SimulatedOrigin implements Origin {
  readonly url = 'simulated:image';
  readonly identity;
  readonly sizeBytes: number;
  readonly #options: SimulatedOriginOptions;

  constructor(options: SimulatedOriginOptions) {
    this.#options = options;
    this.sizeBytes = options.image.sizeBytes;
    this.identity = { kind: 'nbd', sizeBytes: this.sizeBytes } as const;
  }

  async read(offset: number, lengthBytes: number, sink: RangeSink, { signal }: SourceReadOptions = {}): Promise<void> {
    const { image, state, schedule, owner, latencyMs, onSent } = this.#options;
    await this.#wait(latencyMs() * (state.mood === 'slow' ? 200 : 1), signal);
    for (const chunk of image.chunksOf(offset, lengthBytes)) {
      await this.#stall(signal);
      await this.#wait(0.5, signal);
      if (owner.hasEnded) return;
      state.sent[chunk] = (state.sent[chunk] ?? 0) + 1;
      onSent(chunk);
      // A copy: what a sink is given is the sink's only until it returns.
      const piece = Buffer.from(image.chunk(chunk));
      sink.data(piece);
      piece.fill(0xee);
      schedule.touch();
    }
    if (offset % chunkBytes !== 0 || lengthBytes % chunkBytes !== 0) throw new RangeError('homes read whole chunks');
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Fails while it is down; while it is mute nothing comes, until a timeout. */
  async #stall(signal: AbortSignal | undefined): Promise<void> {
    const { state, hostId } = this.#options;
    if (state.mood === 'well' || state.mood === 'slow') {
      if (!state.cutOff.has(hostId)) return;
    } else if (state.mood === 'mute') await this.#wait(10_000, signal);
    throw new OriginError('ERR_ORIGIN_UNAVAILABLE', `the origin is ${state.mood} for ${hostId}`);
  }

  #wait(delayMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { schedule, owner } = this.#options;
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        cancel();
        reject(new AbortedError('origin read'));
      };
      const cancel = schedule.at(
        delayMs,
        () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
        owner,
      );
      if (signal?.aborted) onAbort();
      else signal?.addEventListener('abort', onAbort, { once: true });
    });
  }
}
