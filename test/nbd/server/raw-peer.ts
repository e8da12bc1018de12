/** The other end of a stream, byte by byte: what tests say and hear without the code under test. */
import { type Duplex, duplexPair } from 'node:stream';

export class RawPeer {
  readonly stream: Duplex;
  #received = Buffer.alloc(0);
  #ended = false;
  #wake: (() => void) | undefined;
  /** How many separate pieces came. */
  pieceCount = 0;

  constructor(stream: Duplex) {
    this.stream = stream;
    stream.on('data', (piece: Buffer) => {
      this.pieceCount += 1;
      this.#received = Buffer.concat([this.#received, piece]);
      this.#wake?.();
    });
    for (const event of ['end', 'close', 'error']) {
      stream.on(event, () => {
        this.#ended = true;
        this.#wake?.();
      });
    }
  }

  /** The next bytes; fewer when the stream ends before. */
  async read(sizeBytes: number): Promise<Buffer> {
    while (this.#received.length < sizeBytes && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const bytes = this.#received.subarray(0, sizeBytes);
    this.#received = this.#received.subarray(bytes.length);
    return bytes;
  }

  write(...parts: Buffer[]): void {
    this.stream.write(Buffer.concat(parts));
  }

  end(): void {
    this.stream.end();
  }
}

/** A stream for the code under test, and its other end. */
export function rawPair(): { stream: Duplex; peer: RawPeer } {
  const [stream, other] = duplexPair();
  // As every owner of a stream does.
  stream.on('error', () => {});
  return { stream, peer: new RawPeer(other) };
}

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}
