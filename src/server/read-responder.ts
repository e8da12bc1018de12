/**
 * Answers the READ requests of one connection.
 *
 * A READ that the device can answer at once (a hit) is answered in the same turn: a short one in
 * the batch buffer, a long one in a buffer of its own. Every other READ (a miss) waits for the
 * device and is answered when the device is done. So a hit never waits for a miss.
 *
 * Invariants: memory for a reply is taken before the device is asked. A buffer goes back when the
 * client has taken the reply, or when the read fails.
 */
import type { BlockDevice } from '../device/device.js';
import type { Request } from '../nbd/codec/frame.js';
import type { ExportMetrics } from './export.js';
import { piecesOf } from './read-reply.js';
import type { ReplyEncoder } from './reply-encoder.js';
import type { ReplyStream } from './reply-stream.js';
import { headerRoomBytes } from './request-memory.js';
import type { RequestTracker } from './request-tracker.js';

/**
 * Reads of this many bytes and more are searched for holes inside; a shorter one is answered as one
 * hole or as data.
 */
const splitFromBytes = 128 * 1024;

export interface ReadResponderOptions {
  device: BlockDevice;
  encoder: ReplyEncoder;
  replies: ReplyStream;
  metrics: ExportMetrics;
  /** Aborted when the connection has ended. */
  signal: AbortSignal;
  /** Deadline per request, in ms; 0 means none. */
  deadlineMs: number;
  tracker: RequestTracker;
}

export class ReadResponder {
  readonly #options: ReadResponderOptions;
  readonly #device: BlockDevice;
  readonly #encoder: ReplyEncoder;
  readonly #replies: ReplyStream;
  readonly #metrics: ExportMetrics;
  /** Bytes of hits that were copied in this turn. */
  #copiedBytes = 0;
  /** Hits that were answered in this turn; their latency is observed together. */
  #hitCount = 0;

  constructor(options: ReadResponderOptions) {
    this.#options = options;
    this.#device = options.device;
    this.#encoder = options.encoder;
    this.#replies = options.replies;
    this.#metrics = options.metrics;
  }

  /** Bytes of hits that were copied since `endTurn`. */
  get copiedBytes(): number {
    return this.#copiedBytes;
  }

  /** Counts the hits of a turn that took `tookMs`. */
  endTurn(tookMs: number): void {
    this.#metrics.reads.cache.latency.observe(tookMs, this.#hitCount);
    this.#copiedBytes = 0;
    this.#hitCount = 0;
  }

  /**
   * Answers a READ of 1 byte or more, now or later.
   *
   * @param request reused by the caller
   * @returns false if there is no memory for the reply yet
   */
  answer(request: Request): boolean {
    const { offset, lengthBytes } = request;
    const { dataAt } = this.#encoder;
    const mayFragment = this.#encoder.mayFragment(request);
    if (mayFragment && lengthBytes < splitFromBytes && this.#device.isZeroNow(offset, lengthBytes)) return this.#replyHole(request);
    if (lengthBytes < splitFromBytes) {
      const batch = this.#replies.room(dataAt + lengthBytes);
      if (batch === undefined) return false;
      const start = this.#replies.batchAt;
      if (this.#device.readNow(batch, start + dataAt, lengthBytes, offset)) {
        this.#encoder.putReadHeader(batch, start, request);
        this.#replies.commit(start + dataAt + lengthBytes);
        this.#countHit(lengthBytes);
        return true;
      }
    }
    const buffer = this.#replies.take(dataAt + lengthBytes);
    if (buffer === undefined) return false;
    if (lengthBytes >= splitFromBytes && this.#device.readNow(buffer, dataAt, lengthBytes, offset)) {
      this.#countHit(lengthBytes);
      this.#replyData(request, buffer, mayFragment);
    } else {
      this.#readLater({ ...request }, buffer, mayFragment);
    }
    return true;
  }

  /** Reads what has to come from a disk, a peer or the origin. */
  #readLater(request: Request, buffer: Buffer, mayFragment: boolean): void {
    const { dataAt } = this.#encoder;
    const { signal, deadlineMs, tracker } = this.#options;
    const startMs = performance.now();
    tracker.began();
    this.#device.read(buffer.subarray(dataAt, dataAt + request.lengthBytes), request.offset, { signal, deadlineMs }).then(
      (place) => {
        const { [place]: metrics } = this.#metrics.reads;
        metrics.count += 1;
        metrics.bytes += request.lengthBytes;
        const tookMs = performance.now() - startMs;
        metrics.latency.observe(tookMs);
        this.#metrics.slowest.offer(request.offset, request.lengthBytes, place, tookMs);
        this.#replyData(request, buffer, mayFragment);
        tracker.ended();
      },
      (error: unknown) => {
        this.#replies.give(buffer);
        tracker.failed(request, error);
        tracker.ended();
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

  /** Answers a READ whose bytes lie in `buffer` behind the room for a header. */
  #replyData(request: Request, buffer: Buffer, mayFragment: boolean): void {
    const { lengthBytes } = request;
    const { dataAt } = this.#encoder;
    if (mayFragment) {
      const pieces = piecesOf(this.#device, request.offset, lengthBytes);
      if (pieces.some((piece) => piece.hole)) {
        const data = buffer.subarray(dataAt, dataAt + lengthBytes);
        this.#replies.send(this.#encoder.pieces(request, pieces, data), buffer);
        return;
      }
    }
    this.#encoder.putReadHeader(buffer, 0, request);
    this.#replies.send([buffer.subarray(0, dataAt + lengthBytes)], buffer);
  }

  #replyHole(request: Request): boolean {
    const batch = this.#replies.room(headerRoomBytes);
    if (batch === undefined) return false;
    this.#replies.commit(this.#encoder.putHole(batch, this.#replies.batchAt, request));
    this.#countHit(request.lengthBytes);
    return true;
  }
}
