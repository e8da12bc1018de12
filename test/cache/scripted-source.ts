/** A source whose every answer a test decides: nothing arrives before it is sent. */
import type { SourceReadOptions } from '../../src/block/read-options.js';
import type { RangeSink } from '../../src/block/sink.js';
import type { ChunkSource } from '../../src/cache/chunk-source.js';

/** One read that somebody asked for, waiting for its script. */
export class SourceRead {
  readonly offset: number;
  readonly lengthBytes: number;
  readonly options: SourceReadOptions;
  readonly settled: Promise<void>;
  readonly #content: Buffer;
  readonly #sink: RangeSink;
  #sentBytes = 0;
  #resolve!: () => void;
  #reject!: (error: unknown) => void;

  constructor(content: Buffer, offset: number, lengthBytes: number, sink: RangeSink, options: SourceReadOptions) {
    this.#content = content;
    this.offset = offset;
    this.lengthBytes = lengthBytes;
    this.#sink = sink;
    this.options = options;
    this.settled = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    options.signal?.addEventListener('abort', () => this.fail(Object.assign(new Error('aborted'), { code: 'ERR_ABORTED' })), {
      once: true,
    });
    if (options.signal?.aborted) this.fail(Object.assign(new Error('aborted'), { code: 'ERR_ABORTED' }));
  }

  get aborted(): boolean {
    return this.options.signal?.aborted === true;
  }

  /** Sends the next bytes, in a buffer that is overwritten at once: the sink may not keep it. */
  send(lengthBytes = this.lengthBytes - this.#sentBytes): this {
    const from = this.offset + this.#sentBytes;
    const piece = Buffer.from(this.#content.subarray(from, from + lengthBytes));
    this.#sentBytes += lengthBytes;
    this.#sink.data(piece);
    piece.fill(0xee);
    return this;
  }

  zeroes(lengthBytes: number): this {
    this.#sentBytes += lengthBytes;
    this.#sink.zeroes(lengthBytes);
    return this;
  }

  end(): void {
    this.#resolve();
  }

  fail(error: unknown): void {
    this.#reject(error);
  }
}

export class ScriptedSource implements ChunkSource {
  readonly content: Buffer;
  readonly reads: SourceRead[] = [];
  /** Called for each read; without it a read waits for `next`. */
  script: ((read: SourceRead) => void) | undefined;
  readonly #unseen: SourceRead[] = [];
  readonly #waiting: ((read: SourceRead) => void)[] = [];

  constructor(content: Buffer) {
    this.content = content;
  }

  read(offset: number, lengthBytes: number, sink: RangeSink, options: SourceReadOptions): Promise<void> {
    const read = new SourceRead(this.content, offset, lengthBytes, sink, options);
    this.reads.push(read);
    if (this.script !== undefined) this.script(read);
    else {
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#unseen.push(read);
      else waiting(read);
    }
    return read.settled;
  }

  /** The next read that was not looked at, now or when it comes. */
  next(): Promise<SourceRead> {
    const read = this.#unseen.shift();
    if (read !== undefined) return Promise.resolve(read);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** From now on every read is answered in full at once. */
  answerAll(): void {
    this.script = (read) => read.send().end();
    for (const read of this.#unseen.splice(0)) read.send().end();
  }
}
