/** What has to be known of an image before it is added: its format, and how large its content is. */

import { waitFor } from '../../base/deadline.js';
import { OriginError, type OriginReadOptions } from '../origin.js';
import { readContent } from './content.js';
import { decodedSizeBytes } from './decoded.js';
import { Decoder, type DecoderOptions } from './decoder.js';
import { detectFormat } from './detect.js';
import type { FormatContainer, FormatLayer } from './layer.js';

export interface ProbeOptions extends DecoderOptions {
  container: FormatContainer;
  /** `raw` or a supported format; detected by content when absent. */
  format?: string | undefined;
  backing?: FormatLayer['backing'];
  signal?: OriginReadOptions['signal'];
}

export interface ProbeResult {
  format: string;
  /** Of the decoded content. */
  sizeBytes: number;
}

/**
 * Detects the format where none is given, and starts qemu-nbd for a moment unless it is raw.
 *
 * @throws OriginError `ERR_FORMAT` for what is not or can't be decoded; else as reads of the container do
 */
export async function probeFormat(options: ProbeOptions): Promise<ProbeResult> {
  const { container, signal } = options;
  const { origin } = container;
  const format = options.format ?? (await detectFormat(readContent(origin, signal), origin.sizeBytes));
  if (format === 'raw') return { format, sizeBytes: origin.sizeBytes };
  const decoder = new Decoder({ container, format, backing: options.backing }, options);
  try {
    const decoding = await waitFor(`probe of ${origin.url}`, decoder.running(), { signal });
    const sizeBytes = await decodedSizeBytes(decoding.socketPath, options.log);
    if (sizeBytes === 0) throw new OriginError('ERR_FORMAT', `${origin.url}: its content is empty`);
    return { format, sizeBytes };
  } finally {
    await decoder.close();
  }
}
