/**
 * The transmission phase over any duplex stream: every command, every error, every kind of reply.
 *
 * Requests are pulled from the input while the connection's bounds allow; a READ that the device can answer without waiting is answered into the batch
 * buffer then and there, everything else goes its own way and is answered when it is done, in any order. A hit never waits for a miss.
 *
 * A read of no bytes is answered whatever bound is reached: the client may ask so whether its connection is alive. The headers of requests that wait for room are
 * taken from the input for that, within a bound.
 *
 * Invariants: memory is taken before a payload or reply exists, and given back when the client has taken the reply; input is paused while a bound is
 * reached, and so many headers wait; after the end nothing of this connection is under way at the device any more.
 *
 * Source: doc/proto.md, "Transmission phase". One exception: ESHUTDOWN is never sent, because QEMU passes it to the guest; a server that stops answers what is
 * under way and closes.
 */
import { setMaxListeners } from 'node:events';
import type { Duplex } from 'node:stream';
import type { Clock } from '../base/clock.js';
import { errorMessage } from '../base/error.js';
import type { BlockDevice } from '../device/device.js';
import { Command, CommandFlag, type ContextName, MAX_PAYLOAD_BYTES, type ReplyMode, SIMPLE_REPLY_BYTES } from '../nbd/codec/constant.js';
import { toNbdError } from '../nbd/codec/errno.js';
import { NbdProtocolError } from '../nbd/codec/error.js';
import {
  chunkHeaderBytes,
  emptyRequest,
  MAX_ERROR_CHUNK_BYTES,
  putError,
  putNone,
  putOffsetData,
  putOffsetHole,
  putSimpleReply,
  type Request,
  requestPayloadBytes,
} from '../nbd/codec/frame.js';
import { blockStatusReply } from './block-status.js';
import { CopyTurn } from './copy-turn.js';
import type { ExportMetrics } from './export.js';
import { piecesOf, replyBuffers } from './read-reply.js';
import { ReplyStream } from './reply-stream.js';
import { refusalOf } from './request-check.js';
import { headerRoomBytes, type RequestMemory } from './request-memory.js';
import { RequestReceiver } from './request-receiver.js';

export interface TransmissionLimits {
  /** Requests that are under way at the device at once. */
  requests: number;
  /** Bytes of payloads and replies that are held at once. */
  bytes: number;
}

export interface TransmissionOptions {
  stream: Duplex;
  device: BlockDevice;
  metrics: ExportMetrics;
  replies: ReplyMode;
  contexts: ReadonlyMap<ContextName, number>;
  /** What the client sent behind its last option. */
  leftover: Buffer;
  memory: RequestMemory;
  limits: TransmissionLimits;
  /** Of each request, in milliseconds; 0 waits for ever. */
  deadlineMs: number;
  clock: Clock;
  /** Told of each request that failed at the device. */
  onFailure(request: Request, error: unknown): void;
}

/** Payloads up to this many bytes are read over when their request is refused; a longer one ends the connection. */
const mostSkippedBytes = 2 * MAX_PAYLOAD_BYTES;

/** Of all connections of the process: they share the thread. */
const copyTurn = new CopyTurn();

/** How long a client that closed its end may wait for its answers. */
const halfClosedGraceMs = 5000;

/** From this length on, structured replies are searched for holes inside; shorter ones are a hole or they are not. */
const splitFromBytes = 128 * 1024;

export class Transmission {
  readonly #stream: Duplex;
  readonly #device: BlockDevice;
  readonly #metrics: ExportMetrics;
  readonly #options: TransmissionOptions;
  readonly #extended: boolean;
  readonly #structured: boolean;
  readonly #receiver: RequestReceiver;
  readonly #replies: ReplyStream;
  readonly #gone = new AbortController();
  readonly #request: Request = emptyRequest();
  /** The request whose payload is being received. */
  #incoming: { request: Request; payload: Buffer | undefined; refusal: ReturnType<typeof refusalOf> } | undefined;
  /** Requests that were parsed and wait for room, oldest first. No more is parsed behind one that is not a plain header, which is the last. */
  readonly #waiting: Request[] = [];
  #requestCount = 0;
  /** The client sends no more, and what it sent before is not all accepted yet. */
  #isEndAhead = false;
  #inputOver = false;
  #finish!: () => void;
  #failure: unknown;
  #cancelGrace: (() => void) | undefined;
  readonly #finished: Promise<void>;
  /** Bytes of hits that were copied since the pump began. */
  #copiedBytes = 0;
  /** True while the pump waits for the others' turn. */
  #isPumpDue = false;
  /** Hits answered in this turn: their latency is observed together. */
  #hitCount = 0;

  constructor(options: TransmissionOptions) {
    this.#options = options;
    this.#stream = options.stream;
    this.#device = options.device;
    this.#metrics = options.metrics;
    this.#extended = options.replies === 'extended';
    this.#structured = options.replies !== 'simple';
    this.#receiver = new RequestReceiver(this.#extended);
    this.#replies = new ReplyStream(options.stream, options.memory, () => this.#onProgress(), options.device);
    // One listener a waiting request.
    setMaxListeners(0, this.#gone.signal);
    this.#finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  /**
   * Serves until the client leaves; the stream is ended or destroyed then, and nothing is under way any more.
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

  /** Takes no further request; `run` ends when what is under way is answered. */
  drain(): void {
    this.#endInput();
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#inputOver) return;
    this.#receiver.push(chunk);
    this.#pump(true);
  };

  /**
   * The client sends no more: it left without a word, or it half-closed and still reads (TCP and unix sockets tell the two alike). What is under way
   * gets a while to be answered; a dead client's misses would otherwise wait for the origin until their deadline.
   */
  readonly #onEnd = (): void => {
    this.#isEndAhead = true;
    this.#endWhenAccepted();
  };

  /** Requests that wait for room were sent before the end. */
  #endWhenAccepted(): void {
    if (!this.#isEndAhead || this.#waiting.length > 0 || this.#receiver.pendingBytes > 0) return;
    this.#endInput();
    this.#cancelGrace ??= this.#options.clock.after(halfClosedGraceMs, () => this.#gone.abort());
  }

  readonly #onClose = (): void => {
    this.#gone.abort();
    this.#endInput();
  };

  /** Memory or a place for a request became free. */
  #onProgress(): void {
    // The replies of a connection that died come back before its end is told: nobody waits for more of them.
    if (this.#stream.destroyed) this.#endInput();
    else if (this.#inputOver) this.#finishIfIdle();
    else if (!this.#isPumpDue) this.#pump(false);
  }

  #endInput(): void {
    this.#inputOver = true;
    this.#stream.pause();
    if (this.#incoming?.payload !== undefined) this.#replies.give(this.#incoming.payload);
    this.#incoming = undefined;
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

  /** Handles what has been received, as far as the bounds allow. */
  #pump(isFresh: boolean): void {
    const startMs = performance.now();
    const shareBytes = copyTurn.share(isFresh);
    this.#copiedBytes = 0;
    try {
      while (!this.#inputOver && this.#copiedBytes < shareBytes && this.#step()) {
        // Each step takes one request or one payload.
      }
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#replies.flush();
    if (this.#hitCount > 0) {
      copyTurn.spend(this.#copiedBytes);
      this.#metrics.reads.cache.latency.observe(performance.now() - startMs, this.#hitCount);
      this.#hitCount = 0;
    }
    if (this.#inputOver) return;
    this.#endWhenAccepted();
    if (this.#inputOver) return;
    if (this.#copiedBytes >= shareBytes) this.#pumpLater();
    if (this.#receiver.pendingBytes > 0 || !this.#mayLookAhead) this.#stream.pause();
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

  /** `false`: more input, or progress of what is under way, is needed first. */
  #step(): boolean {
    const incoming = this.#incoming;
    if (incoming !== undefined) {
      if (!this.#receiver.fill()) return false;
      this.#incoming = undefined;
      if (incoming.refusal === undefined) this.#perform(incoming.request, incoming.payload);
      else this.#replyError(incoming.request, incoming.refusal.error, incoming.refusal.text);
      return true;
    }
    if (this.#requestCount >= this.#options.limits.requests || this.#replies.heldBytes > this.#options.limits.bytes)
      return this.#lookAhead();
    const [waiting] = this.#waiting;
    if (waiting !== undefined) {
      if (!this.#accept(waiting)) return this.#lookAhead();
      this.#waiting.shift();
      return true;
    }
    if (!this.#receiver.next(this.#request)) return false;
    if (!this.#accept(this.#request)) this.#waiting.push({ ...this.#request });
    return true;
  }

  /** Whether a further header may be taken while requests wait. A client that does not take its replies is given no more of them. */
  get #mayLookAhead(): boolean {
    const last = this.#waiting.at(-1);
    if (this.#waiting.length >= this.#options.limits.requests) return false;
    return last === undefined || (last.type !== Command.DISC && requestPayloadBytes(last, this.#extended) === 0);
  }

  /** There is no room for the next request: those behind it that need none are answered. */
  #lookAhead(): boolean {
    if (!this.#mayLookAhead || this.#stream.writableLength > 0 || !this.#receiver.next(this.#request)) return false;
    if (this.#request.type === Command.READ && this.#request.lengthBytes === 0) this.#accept(this.#request);
    else this.#waiting.push({ ...this.#request });
    return true;
  }

  /** `false`: no memory for it just now, to be tried again. */
  #accept(request: Request): boolean {
    if (request.type === Command.DISC) {
      this.#endInput();
      return true;
    }
    const refusal = refusalOf(request, {
      device: this.#device,
      replies: this.#options.replies,
      hasContexts: this.#options.contexts.size > 0,
    });
    const payloadBytes = requestPayloadBytes(request, this.#extended);
    if (payloadBytes > 0) return this.#expectPayload(request, payloadBytes, refusal);
    if (refusal !== undefined) {
      this.#replyError(request, refusal.error, refusal.text);
      return true;
    }
    if (request.type === Command.READ && request.lengthBytes > 0) return this.#read(request);
    this.#perform({ ...request }, undefined);
    return true;
  }

  #expectPayload(request: Request, payloadBytes: number, refusal: ReturnType<typeof refusalOf>): boolean {
    if (payloadBytes > mostSkippedBytes) {
      throw new NbdProtocolError(`a request carries ${payloadBytes} bytes, the most is ${MAX_PAYLOAD_BYTES}`);
    }
    let payload: Buffer | undefined;
    if (refusal === undefined) {
      payload = this.#replies.take(payloadBytes);
      if (payload === undefined) return false;
    }
    this.#incoming = { request: { ...request }, payload, refusal };
    this.#receiver.expect(payloadBytes, payload);
    return true;
  }

  #read(request: Request): boolean {
    const { offset, lengthBytes } = request;
    const fragments = this.#structured && (request.flags & CommandFlag.DF) === 0;
    if (fragments && lengthBytes < splitFromBytes && this.#device.isZeroNow(offset, lengthBytes)) return this.#replyHole(request);
    const dataAt = this.#structured ? chunkHeaderBytes(this.#extended) + 8 : SIMPLE_REPLY_BYTES;
    if (lengthBytes < splitFromBytes) {
      const batch = this.#replies.room(dataAt + lengthBytes);
      if (batch === undefined) return false;
      const start = this.#replies.batchAt;
      if (this.#device.readNow(batch, start + dataAt, lengthBytes, offset)) {
        this.#putReadHeader(batch, start, request, lengthBytes);
        this.#replies.commit(start + dataAt + lengthBytes);
        this.#countHit(lengthBytes);
        return true;
      }
    }
    const buffer = this.#replies.take(dataAt + lengthBytes);
    if (buffer === undefined) return false;
    if (lengthBytes >= splitFromBytes && this.#device.readNow(buffer, dataAt, lengthBytes, offset)) {
      this.#countHit(lengthBytes);
      this.#replyData(request, buffer, dataAt, fragments);
    } else {
      this.#readLater({ ...request }, buffer, dataAt, fragments);
    }
    return true;
  }

  /** A read that has to wait for a disk or for the origin. */
  #readLater(request: Request, buffer: Buffer, dataAt: number, fragments: boolean): void {
    const startMs = performance.now();
    this.#requestCount += 1;
    this.#device
      .read(buffer.subarray(dataAt, dataAt + request.lengthBytes), request.offset, {
        signal: this.#gone.signal,
        deadlineMs: this.#options.deadlineMs,
      })
      .then(
        (source) => {
          const { [source]: metrics } = this.#metrics.reads;
          metrics.count += 1;
          metrics.bytes += request.lengthBytes;
          const tookMs = performance.now() - startMs;
          metrics.latency.observe(tookMs);
          this.#metrics.slowest.offer(request.offset, request.lengthBytes, source, tookMs);
          this.#replyData(request, buffer, dataAt, fragments);
          this.#requestDone();
        },
        (error: unknown) => {
          this.#replies.give(buffer);
          this.#replyFailure(request, error);
          this.#requestDone();
        },
      );
  }

  #countHit(lengthBytes: number): void {
    this.#copiedBytes += lengthBytes;
    const metrics = this.#metrics.reads.cache;
    metrics.count += 1;
    metrics.bytes += lengthBytes;
    this.#hitCount += 1;
  }

  #putReadHeader(target: Buffer, at: number, request: Request, lengthBytes: number): void {
    if (this.#structured) putOffsetData(target, at, this.#extended, request, true, request.offset, lengthBytes);
    else putSimpleReply(target, at, request, 0);
  }

  /** Answers a READ whose bytes are in `buffer` at `dataAt`. */
  #replyData(request: Request, buffer: Buffer, dataAt: number, fragments: boolean): void {
    const { lengthBytes } = request;
    if (fragments) {
      const pieces = piecesOf(this.#device, request.offset, lengthBytes);
      if (pieces.some((piece) => piece.hole)) {
        const data = buffer.subarray(dataAt, dataAt + lengthBytes);
        this.#replies.send(replyBuffers(request, this.#extended, pieces, data), buffer);
        return;
      }
    }
    this.#putReadHeader(buffer, 0, request, lengthBytes);
    this.#replies.send([buffer.subarray(0, dataAt + lengthBytes)], buffer);
  }

  #replyHole(request: Request): boolean {
    const batch = this.#replies.room(headerRoomBytes);
    if (batch === undefined) return false;
    const at = this.#replies.batchAt;
    this.#replies.commit(putOffsetHole(batch, at, this.#extended, request, true, request.offset, request.lengthBytes));
    this.#countHit(request.lengthBytes);
    return true;
  }

  /** Everything but reads: does it, and answers. `payload` is given back. */
  #perform(request: Request, payload: Buffer | undefined): void {
    this.#requestCount += 1;
    const startMs = performance.now();
    this.#execute(request, payload)
      .then(
        (reply) => {
          if (request.type === Command.WRITE) {
            this.#metrics.writes += 1;
            this.#metrics.writtenBytes += request.lengthBytes;
            this.#metrics.writeLatency.observe(performance.now() - startMs);
          }
          if (reply === undefined) this.#replySuccess(request);
          else this.#replies.send([reply], undefined);
        },
        (error: unknown) => this.#replyFailure(request, error),
      )
      .finally(() => {
        if (payload !== undefined) this.#replies.give(payload);
        this.#requestDone();
      })
      .catch((error: unknown) => this.#fail(error));
  }

  /** Resolves to the reply where success says more than success. */
  async #execute(request: Request, payload: Buffer | undefined): Promise<Buffer | undefined> {
    const device = this.#device;
    const { type, flags, offset, lengthBytes } = request;
    const options = { signal: this.#gone.signal, deadlineMs: this.#options.deadlineMs, fua: (flags & CommandFlag.FUA) !== 0 };
    if (type === Command.FLUSH) {
      await device.flush(options);
      return undefined;
    }
    if (lengthBytes === 0) return undefined;
    switch (type) {
      case Command.WRITE:
        if (payload !== undefined) await device.write(payload.subarray(0, lengthBytes), offset, options);
        return undefined;
      case Command.TRIM:
        await device.trim(offset, lengthBytes, options);
        return undefined;
      case Command.WRITE_ZEROES:
        await device.writeZeroes(offset, lengthBytes, {
          ...options,
          noHole: (flags & CommandFlag.NO_HOLE) !== 0,
          fastOnly: (flags & CommandFlag.FAST_ZERO) !== 0,
        });
        return undefined;
      case Command.CACHE:
        await device.cache(offset, lengthBytes, options);
        return undefined;
      default:
        return blockStatusReply(request, device, this.#options.contexts, this.#extended, this.#gone.signal);
    }
  }

  #requestDone(): void {
    this.#requestCount -= 1;
    this.#onProgress();
  }

  #replySuccess(request: Request): void {
    const reply = Buffer.allocUnsafe(headerRoomBytes);
    const end = this.#structured ? putNone(reply, 0, this.#extended, request) : putSimpleReply(reply, 0, request, 0);
    this.#replies.send([reply.subarray(0, end)], undefined);
  }

  #replyFailure(request: Request, error: unknown): void {
    this.#metrics.lastError = error;
    this.#options.onFailure(request, error);
    this.#replyError(request, toNbdError(error), errorMessage(error));
  }

  #replyError(request: Request, error: number, text: string): void {
    this.#metrics.errors += 1;
    const reply = Buffer.allocUnsafe(this.#structured ? MAX_ERROR_CHUNK_BYTES : SIMPLE_REPLY_BYTES);
    const end = this.#structured
      ? putError(reply, 0, this.#extended, request, true, error, text)
      : putSimpleReply(reply, 0, request, error);
    this.#replies.send([reply.subarray(0, end)], undefined);
  }
}
