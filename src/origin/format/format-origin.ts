/**
 * An image in a foreign format as a raw `Origin`, decoded by qemu-nbd.
 *
 * When to use: for every image whose format is not raw. Cost: one process of 10 to 50 MiB per image
 * in use, started with the first read; a copy of each byte over two unix sockets.
 *
 * Invariants: the constructor makes no connection, so a daemon starts with a dead origin. The size
 * is the recorded one; Copse does not read from a decoder that reports another.
 */

import { waitFor } from '../../base/deadline.js';
import { errorCode, errorMessage } from '../../base/error.js';
import type { SourceReadOptions } from '../../block/read-options.js';
import type { RangeSink } from '../../block/sink.js';
import { type Origin, OriginError, type OriginIdentity } from '../origin.js';
import { CountingSink } from '../sink.js';
import { openDecoded } from './decoded.js';
import { Decoder, type DecoderOptions, type Decoding } from './decoder.js';
import type { FormatLayer } from './layer.js';

export interface FormatOriginOptions extends DecoderOptions, FormatLayer {
  /**
   * Size of the decoded content in bytes, as `probeFormat` reported it when the image was added.
   */
  sizeBytes: number;
}

/** The caller owns the container and closes it after this origin. */
export function openFormatOrigin(options: FormatOriginOptions): Origin {
  return new FormatOrigin(options);
}

class FormatOrigin implements Origin {
  readonly url: string;
  /** The container's identity: the pinned bytes are those of the file. */
  readonly identity: OriginIdentity;
  readonly sizeBytes: number;
  readonly #options: FormatOriginOptions;
  readonly #decoder: Decoder;
  /** The present process, and the origin that reads from it. */
  #reading: { decoding: Decoding; origin: Origin } | undefined;

  constructor(options: FormatOriginOptions) {
    this.url = options.container.origin.url;
    this.identity = options.container.origin.identity;
    this.sizeBytes = options.sizeBytes;
    this.#options = options;
    this.#decoder = new Decoder(options, options);
  }

  async read(offset: number, lengthBytes: number, sink: RangeSink, options: SourceReadOptions = {}): Promise<void> {
    const counting = new CountingSink(sink);
    try {
      await this.#attempt(offset, lengthBytes, counting, options);
    } catch (error) {
      // The end of an unnoticed dead process is no failure of the origin: nothing is lost if
      // nothing was delivered.
      if (!(error instanceof DecoderGoneError) || counting.deliveredBytes > 0) throw error;
      await this.#attempt(offset, lengthBytes, counting, options);
    }
  }

  async #attempt(offset: number, lengthBytes: number, sink: RangeSink, options: SourceReadOptions): Promise<void> {
    const what = `read of ${this.url} at ${offset}`;
    const decoding = await waitFor(what, this.#decoder.running(), { signal: options.signal });
    const failedBefore = decoding.failure()?.count;
    try {
      await this.#origin(decoding).read(offset, lengthBytes, sink, options);
    } catch (error) {
      if (errorCode(error) === 'ERR_ABORTED') throw error;
      throw await this.#explain(what, error, decoding, failedBefore);
    }
  }

  #origin(decoding: Decoding): Origin {
    if (this.#reading?.decoding !== decoding) {
      void this.#reading?.origin.close().catch(() => undefined);
      this.#reading = { decoding, origin: openDecoded(decoding.socketPath, this.sizeBytes, this.#options.log) };
    }
    return this.#reading.origin;
  }

  /** NBD carries an errno alone. The private export, or the end of the process, has the cause. */
  async #explain(what: string, error: unknown, decoding: Decoding, failedBefore: number | undefined): Promise<OriginError> {
    const failure = decoding.failure();
    if (failure !== undefined && failedBefore !== undefined && failure.count > failedBefore && failure.error instanceof OriginError)
      return failure.error;
    // The container's own read reached its deadline first: the caller's deadline may be later.
    if (errorCode(failure?.error) === 'ERR_DEADLINE') return new OriginError('ERR_ORIGIN_UNAVAILABLE', what, { cause: failure?.error });
    if (await endsSoon(decoding)) return new DecoderGoneError(`${what}: qemu-nbd ended: ${await decoding.ended}`, { cause: error });
    const code = errorCode(error);
    if (code === 'ERR_ORIGIN_CHANGED') {
      return new OriginError(
        'ERR_FORMAT',
        `${what}: its size is no longer the ${this.sizeBytes} bytes of when it was added: ${errorMessage(error)}`,
        { cause: error },
      );
    }
    // qemu-nbd could not decode the bytes that it got: another try brings the same.
    const isBroken = failure !== undefined && code !== 'ERR_ORIGIN_UNAVAILABLE';
    return new OriginError(isBroken ? 'ERR_FORMAT' : 'ERR_ORIGIN_UNAVAILABLE', `${what}: not decoded: ${errorMessage(error)}`, {
      cause: error,
    });
  }

  async close(): Promise<void> {
    await this.#reading?.origin.close().catch(() => undefined);
    await this.#decoder.close();
  }
}

/**
 * qemu-nbd ended while Copse read from it. Code `ERR_ORIGIN_UNAVAILABLE`: the next read starts it
 * again.
 */
class DecoderGoneError extends OriginError {
  constructor(message: string, options: { cause: unknown }) {
    super('ERR_ORIGIN_UNAVAILABLE', message, options);
  }
}

/** A socket closes a moment before its process is reaped. */
async function endsSoon(decoding: Decoding): Promise<boolean> {
  if (decoding.hasEnded) return true;
  return waitFor('end of qemu-nbd', decoding.ended, { timeoutMs: 100 }).then(
    () => true,
    () => false,
  );
}
