/**
 * An image in a foreign format as a raw `Origin`, decoded by qemu-nbd.
 *
 * When to use: for every image whose format is not raw. Cost: one process of 10 to 50 MiB an image in use, started with the first read; a copy of
 * each byte over two unix sockets.
 *
 * Invariants: constructing it contacts nobody, so that a daemon starts with a dead origin; the size is the one that was recorded when the
 * image was added, and a decoder that says another is not read from.
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
  /** The size of the decoded content, as `probeFormat` reported it when the image was added. */
  sizeBytes: number;
}

/** The caller owns the container, and closes it after this origin. */
export function openFormatOrigin(options: FormatOriginOptions): Origin {
  return new FormatOrigin(options);
}

class FormatOrigin implements Origin {
  readonly url: string;
  /** The container's: what is pinned are the bytes of the file. */
  readonly identity: OriginIdentity;
  readonly sizeBytes: number;
  readonly #options: FormatOriginOptions;
  readonly #decoder: Decoder;
  /** How the present process is read. */
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
      // A process that died unnoticed is no failure of the origin's: nothing was lost if nothing was delivered.
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

  /** NBD brings an errno; what stands behind it the private export knows, or the process's end. */
  async #explain(what: string, error: unknown, decoding: Decoding, failedBefore: number | undefined): Promise<OriginError> {
    const failure = decoding.failure();
    if (failure !== undefined && failedBefore !== undefined && failure.count > failedBefore && failure.error instanceof OriginError)
      return failure.error;
    // The container's own read gave up first: whoever waits here may go on waiting.
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
    // Served bytes that qemu-nbd could not make sense of: trying again brings the same.
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

/** qemu-nbd ended while it was read from. Code `ERR_ORIGIN_UNAVAILABLE`: the next read starts it again. */
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
