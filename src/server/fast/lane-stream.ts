/**
 * The stream of the requests that a native lane leaves to JavaScript. It reads as if the client had
 * sent only those. Each reply that is written leaves whole, among the lane's own replies.
 *
 * Invariants: a written buffer stays the lane's until the callback of its write, even when the
 * connection dies. No native thread works for the stream once it has closed.
 */
import { Duplex } from 'node:stream';
import { AbortedError } from '../../base/error.js';
import { LaneEvent, type LaneOptions, type NativeLane } from '../../base/native/lane.js';
import { native } from '../../base/native/loader.js';
import { KiB } from '../../base/size.js';
import { NbdDisconnectedError } from '../../nbd/codec/error.js';

export interface LaneStreamOptions extends Omit<LaneOptions, 'onEvent'> {
  /** See `LaneEvent.quiet`. */
  onQuiet(): void;
  /**
   * Called once the lane uses none of the granted files any more; the last chance to read its
   * counters.
   */
  onStopped(): void;
}

/** Bound on one piece of input. */
const maxPieceBytes = 256 * KiB;
/** Room for some requests without payload, while the lane has announced none. */
const minPieceBytes = 256;

type Callback = (error?: Error | null) => void;

export class LaneStream extends Duplex {
  readonly lane: NativeLane;
  readonly #options: LaneStreamOptions;
  #isWanted = false;
  #isOver = false;
  #onSent: Callback | undefined;

  /**
   * Takes the connection over.
   *
   * @throws the system's error when there is no descriptor or thread left; the connection is as it
   * was
   */
  constructor(options: LaneStreamOptions) {
    super({ readableHighWaterMark: maxPieceBytes });
    this.#options = options;
    this.lane = native.openLane({ ...options, onEvent: (events) => this.#onEvent(events) });
  }

  override _read(): void {
    this.#isWanted = true;
    this.#pull();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    this.#send([chunk], callback);
  }

  override _writev(chunks: { chunk: Buffer }[], callback: Callback): void {
    this.#send(
      chunks.map(({ chunk }) => chunk),
      callback,
    );
  }

  /** Sends the lane's own replies before the end, too. */
  override _final(callback: Callback): void {
    this.#send([], callback);
  }

  override _destroy(error: Error | null, callback: Callback): void {
    this.lane
      .stop()
      .then(() => {
        this.#options.onStopped();
        this.lane.close();
        const onSent = this.#onSent;
        this.#onSent = undefined;
        onSent?.(error ?? new AbortedError('a reply'));
      })
      .then(
        () => callback(error),
        (failure: Error) => callback(failure),
      );
  }

  #onEvent(events: number): void {
    if (this.destroyed) return;
    if ((events & LaneEvent.quiet) !== 0) this.#options.onQuiet();
    if ((events & LaneEvent.sent) !== 0) {
      const onSent = this.#onSent;
      this.#onSent = undefined;
      if (onSent !== undefined) this.#tell(onSent);
    }
    if (this.destroyed) return;
    if ((events & LaneEvent.input) !== 0) this.#pull();
  }

  /** Reads until the lane has no input left, so that it announces the next input. */
  #pull(): void {
    while (this.#isWanted && !this.#isOver && !this.destroyed) {
      const piece = Buffer.allocUnsafe(Math.min(Math.max(this.lane.inputBytes(), minPieceBytes), maxPieceBytes));
      const takenBytes = this.lane.takeInput(piece, 0, piece.length);
      if (takenBytes === 0) return;
      this.#isOver = takenBytes < 0;
      this.#isWanted = this.push(this.#isOver ? null : piece.subarray(0, takenBytes));
    }
  }

  #send(pieces: Buffer[], callback: Callback): void {
    if (this.lane.send(pieces)) this.#tell(callback);
    else this.#onSent = callback;
  }

  /**
   * A failed write ends the stream, so that no further replies are made for a client that has gone.
   */
  #tell(callback: Callback): void {
    callback(this.lane.hasFailed() ? new NbdDisconnectedError('the client has gone') : undefined);
  }
}
