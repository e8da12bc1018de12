/** Two streams in memory, each of which reads what the other writes. A reader that stops reading holds the writer up, as a socket does. */
import { Duplex } from 'node:stream';

class Half extends Duplex {
  peer: Half | undefined;
  /** The peer's write that waits for this side to read. */
  waiting: (() => void) | undefined;

  override _read(): void {
    const { waiting } = this;
    this.waiting = undefined;
    waiting?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    const { peer } = this;
    if (peer === undefined || peer.destroyed) callback(new Error('the peer has gone'));
    else if (peer.push(Buffer.from(chunk))) callback();
    else peer.waiting = callback;
  }

  override _final(callback: () => void): void {
    this.peer?.push(null);
    callback();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    const { peer, waiting } = this;
    this.waiting = undefined;
    waiting?.();
    if (peer !== undefined && !peer.destroyed) setImmediate(() => peer.destroy());
    callback(error);
  }
}

/** @param bufferBytes what each direction takes before its writer has to wait */
export function streamPair(bufferBytes = 64 * 1024): [Duplex, Duplex] {
  const options = { allowHalfOpen: true, highWaterMark: bufferBytes };
  const [left, right] = [new Half(options), new Half(options)];
  left.peer = right;
  right.peer = left;
  for (const half of [left, right]) half.on('error', () => {});
  return [left, right];
}
