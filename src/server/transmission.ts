/**
 * Runs the transmission phase of one connection over any duplex stream.
 *
 * `RequestIntake` takes requests from the input while the bounds of the connection allow.
 * `ReadResponder` answers READs, and `RequestExecutor` does everything else. Replies leave in any
 * order through `ReplyStream`. This class owns the bounds, the turns of the pump and the end.
 *
 * Invariants: memory is taken before a payload or a reply exists, and is given back when the client
 * has taken the reply. The input is paused while a bound is reached. After `run` no request of this
 * connection is under way at the device.
 *
 * Source: doc/proto.md, "Transmission phase". One exception: this server never sends ESHUTDOWN,
 * because QEMU passes it to the guest. A server that stops answers what is under way and closes.
 */
import { setMaxListeners } from 'node:events';
import type { Duplex } from 'node:stream';
import type { Clock } from '../base/clock.js';
import { errorMessage } from '../base/error.js';
import type { BlockDevice } from '../device/device.js';
import { Command, type ContextName, type ReplyMode } from '../nbd/codec/constant.js';
import { toNbdError } from '../nbd/codec/errno.js';
import type { Request } from '../nbd/codec/frame.js';
import { CopyTurn } from './copy-turn.js';
import type { ExportMetrics } from './export.js';
import { ReadResponder } from './read-responder.js';
import { ReplyEncoder } from './reply-encoder.js';
import { ReplyStream } from './reply-stream.js';
import { RequestExecutor } from './request-executor.js';
import { type IntakeHandler, RequestIntake } from './request-intake.js';
import type { RequestMemory } from './request-memory.js';
import type { RequestTracker } from './request-tracker.js';

export interface TransmissionLimits {
  /** Requests of the connection that are under way at the device at once. */
  requests: number;
  /** Bytes of payloads and replies that the connection holds at once. */
  bytes: number;
}

export interface TransmissionOptions {
  stream: Duplex;
  device: BlockDevice;
  metrics: ExportMetrics;
  replies: ReplyMode;
  contexts: ReadonlyMap<ContextName, number>;
  /** Bytes that the client sent behind its last option. */
  leftover: Buffer;
  memory: RequestMemory;
  limits: TransmissionLimits;
  /** Deadline per request, in ms; 0 means none. */
  deadlineMs: number;
  clock: Clock;
  /** Called with each request that failed at the device. */
  onFailure(request: Request, error: unknown): void;
}

/** Bound on copies per turn, over all connections of the process, because they share the thread. */
const copyTurn = new CopyTurn();

/** Time in which a client that closed its sending side gets its answers, in ms. */
const halfClosedGraceMs = 5000;

export class Transmission implements IntakeHandler {
  readonly #stream: Duplex;
  readonly #metrics: ExportMetrics;
  readonly #options: TransmissionOptions;
  readonly #encoder: ReplyEncoder;
  readonly #replies: ReplyStream;
  readonly #intake: RequestIntake;
  readonly #reads: ReadResponder;
  readonly #executor: RequestExecutor;
  /** Aborted when the connection is gone; requests under way end. */
  readonly #gone = new AbortController();
  /** Requests under way at the device. */
  #requestCount = 0;
  /**
   * True once the client has ended its input; requests that it sent before may still wait for room.
   */
  #isEndAhead = false;
  /** True once no further request begins. */
  #isInputOver = false;
  #finish!: () => void;
  #failure: unknown;
  #cancelGrace: (() => void) | undefined;
  readonly #finished: Promise<void>;
  /** True while the pump waits for a turn, behind other connections. */
  #isPumpDue = false;

  constructor(options: TransmissionOptions) {
    const { stream, device, metrics, deadlineMs, contexts } = options;
    const { signal } = this.#gone;
    this.#options = options;
    this.#stream = stream;
    this.#metrics = metrics;
    this.#encoder = new ReplyEncoder(options.replies);
    this.#replies = new ReplyStream(stream, options.memory, () => this.#onProgress(), device);
    this.#intake = new RequestIntake({
      handler: this,
      check: { device, replies: options.replies, hasContexts: contexts.size > 0 },
      maxWaiting: options.limits.requests,
    });
    const shared = { device, encoder: this.#encoder, replies: this.#replies, metrics, signal, deadlineMs, tracker: this.#tracker() };
    this.#reads = new ReadResponder(shared);
    this.#executor = new RequestExecutor({ ...shared, contexts });
    // Each request under way adds one listener.
    setMaxListeners(0, signal);
    this.#finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  /**
   * Serves until the client leaves. Afterwards the stream is ended or destroyed, and no request is
   * under way.
   *
   * @throws NbdProtocolError when the client sends garbage
   */
  async run(): Promise<void> {
    const stream = this.#stream;
    stream.on('data', this.#onData);
    stream.on('end', this.#onEnd);
    stream.on('close', this.#onClose);
    if (stream.destroyed) this.#onClose();
    if (this.#options.leftover.length > 0) this.#onData(this.#options.leftover);
    stream.resume();
    await this.#finished;
    stream.off('data', this.#onData);
    stream.off('end', this.#onEnd);
    stream.off('close', this.#onClose);
    this.#cancelGrace?.();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Begins no further request; `run` ends when those under way are answered. */
  drain(): void {
    this.#endInput();
  }

  get isFull(): boolean {
    const { requests, bytes } = this.#options.limits;
    return this.#requestCount >= requests || this.#replies.heldBytes > bytes;
  }

  get isClientReading(): boolean {
    return this.#stream.writableLength === 0;
  }

  takePayload(lengthBytes: number): Buffer | undefined {
    return this.#replies.take(lengthBytes);
  }

  givePayload(payload: Buffer): void {
    this.#replies.give(payload);
  }

  begin(request: Request, payload: Buffer | undefined): boolean {
    if (request.type === Command.READ && request.lengthBytes > 0) return this.#reads.answer(request);
    // The request behind a payload is a copy already.
    this.#executor.perform(payload === undefined ? { ...request } : request, payload);
    return true;
  }

  refuse(request: Request, { error, text }: { error: number; text: string }): void {
    this.#metrics.errors += 1;
    this.#replies.send([this.#encoder.error(request, error, text)], undefined);
  }

  disconnect(): void {
    this.#endInput();
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#isInputOver) return;
    this.#intake.push(chunk);
    this.#pump(true);
  };

  /**
   * The client ended its input. It left without DISC, or it half-closed and still reads; TCP and
   * unix sockets don't tell the two apart. Requests under way get a grace period, because the
   * misses of a dead client would otherwise wait for the origin until their deadline.
   */
  readonly #onEnd = (): void => {
    this.#isEndAhead = true;
    this.#endWhenAccepted();
  };

  /** Ends the input once all requests that the client sent before its end have begun. */
  #endWhenAccepted(): void {
    if (!this.#isEndAhead || !this.#intake.isEmpty) return;
    this.#endInput();
    this.#cancelGrace ??= this.#options.clock.after(halfClosedGraceMs, () => this.#gone.abort());
  }

  readonly #onClose = (): void => {
    this.#gone.abort();
    this.#endInput();
  };

  /** Goes on after memory, or a place for a request, became free. */
  #onProgress(): void {
    // A dead connection gives its replies back before it emits `close`, and needs no more of them.
    if (this.#stream.destroyed) this.#endInput();
    else if (this.#isInputOver) this.#finishIfIdle();
    else if (!this.#isPumpDue) this.#pump(false);
  }

  #endInput(): void {
    this.#isInputOver = true;
    this.#stream.pause();
    this.#intake.drop();
    this.#finishIfIdle();
  }

  #finishIfIdle(): void {
    if (this.#requestCount > 0) return;
    if (this.#replies.heldBytes > 0 && !this.#stream.destroyed) return;
    this.#finish();
  }

  #fail(error: unknown): void {
    this.#failure = error;
    this.#gone.abort();
    this.#stream.destroy();
    this.#endInput();
  }

  /** Begins requests of the input as far as the bounds allow. */
  #pump(isFresh: boolean): void {
    const startMs = performance.now();
    const shareBytes = copyTurn.share(isFresh);
    try {
      while (!this.#isInputOver && this.#reads.copiedBytes < shareBytes && this.#intake.step()) {
        // Each step takes one request or one payload.
      }
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#replies.flush();
    const { copiedBytes } = this.#reads;
    if (copiedBytes > 0) {
      copyTurn.spend(copiedBytes);
      this.#reads.endTurn(performance.now() - startMs);
    }
    if (this.#isInputOver) return;
    this.#endWhenAccepted();
    if (this.#isInputOver) return;
    if (copiedBytes >= shareBytes) this.#pumpLater();
    if (this.#intake.pendingBytes > 0 || !this.#intake.mayLookAhead) this.#stream.pause();
    else this.#stream.resume();
  }

  /** Goes on when the other connections had a turn. */
  #pumpLater(): void {
    if (this.#isPumpDue) return;
    this.#isPumpDue = true;
    copyTurn.wait(() => {
      this.#isPumpDue = false;
      this.#onProgress();
    });
  }

  #tracker(): RequestTracker {
    return {
      began: () => {
        this.#requestCount += 1;
      },
      ended: () => {
        this.#requestCount -= 1;
        this.#onProgress();
      },
      failed: (request, error) => {
        this.#metrics.lastError = error;
        this.#options.onFailure(request, error);
        this.refuse(request, { error: toNbdError(error), text: errorMessage(error) });
      },
      broke: (error) => this.#fail(error),
    };
  }
}
