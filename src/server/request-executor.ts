/**
 * Executes every request other than READ at the device, and answers it.
 *
 * Invariant: the request has passed `refusalOf`, so its range lies inside the device.
 */
import type { BlockDevice } from '../device/device.js';
import { Command, CommandFlag, type ContextName } from '../nbd/codec/constant.js';
import type { Request } from '../nbd/codec/frame.js';
import { blockStatusReply } from './block-status.js';
import type { ExportMetrics } from './export.js';
import type { ReplyEncoder } from './reply-encoder.js';
import type { ReplyStream } from './reply-stream.js';
import type { RequestTracker } from './request-tracker.js';

export interface RequestExecutorOptions {
  device: BlockDevice;
  encoder: ReplyEncoder;
  replies: ReplyStream;
  metrics: ExportMetrics;
  /** Metadata contexts that were negotiated, with their ids. */
  contexts: ReadonlyMap<ContextName, number>;
  /** Aborted when the connection has ended. */
  signal: AbortSignal;
  /** Deadline per request, in ms; 0 means none. */
  deadlineMs: number;
  tracker: RequestTracker;
}

export class RequestExecutor {
  readonly #options: RequestExecutorOptions;

  constructor(options: RequestExecutorOptions) {
    this.#options = options;
  }

  /**
   * Executes one request and answers it.
   *
   * @param request becomes the executor's
   * @param payload data of a WRITE; goes back to the memory of the connection afterwards
   */
  perform(request: Request, payload: Buffer | undefined): void {
    const { encoder, replies, metrics, tracker } = this.#options;
    tracker.began();
    const startMs = performance.now();
    this.#execute(request, payload)
      .then(
        (reply) => {
          if (request.type === Command.WRITE) {
            metrics.writes += 1;
            metrics.writtenBytes += request.lengthBytes;
            metrics.writeLatency.observe(performance.now() - startMs);
          }
          replies.send([reply ?? encoder.success(request)], undefined);
        },
        (error: unknown) => tracker.failed(request, error),
      )
      .finally(() => {
        if (payload !== undefined) replies.give(payload);
        tracker.ended();
      })
      .catch((error: unknown) => tracker.broke(error));
  }

  /**
   * Returns the whole reply of BLOCK_STATUS, and `undefined` for commands that succeed without
   * content.
   */
  async #execute(request: Request, payload: Buffer | undefined): Promise<Buffer | undefined> {
    const { device, contexts, encoder, signal, deadlineMs } = this.#options;
    const { type, flags, offset, lengthBytes } = request;
    const options = { signal, deadlineMs, fua: (flags & CommandFlag.FUA) !== 0 };
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
        return blockStatusReply(request, device, contexts, encoder.extended, signal);
    }
  }
}
