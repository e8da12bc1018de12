/** Finds out what the catalog has to know of an image: its format, and the size of its content. */

import { waitFor } from '../../base/deadline.js';
import type { SourceReadOptions } from '../../block/read-options.js';
import { OriginError } from '../origin.js';
import { readContent } from './content.js';
import { decodedSizeBytes } from './decoded.js';
import { Decoder, type DecoderOptions } from './decoder.js';
import { detectFormat } from './detect.js';
import { checkLayer, type Reach } from './guard/reach/reach.js';
import type { FormatContainer, FormatLayer } from './layer.js';

export interface ProbeOptions extends DecoderOptions {
  container: FormatContainer;
  /** `raw` or a supported format; without it the content decides. */
  format?: string | undefined;
  backing?: FormatLayer['backing'];
  /** True to read all allocation tables, however large, to tell if the file is whole. */
  deep?: boolean | undefined;
  signal?: SourceReadOptions['signal'];
}

export interface ProbeResult {
  format: string;
  /** Size of the decoded content, in bytes. */
  sizeBytes: number;
  /** Absent for `raw`, which has no tables. */
  container?: Reach | undefined;
}

/**
 * Detects the format if none is given, and starts qemu-nbd for a moment unless it is raw.
 *
 * @throws OriginError `ERR_FORMAT` for a format that can't be decoded, and for a file that is cut
 * off; else as reads of the container do
 */
export async function probeFormat(options: ProbeOptions): Promise<ProbeResult> {
  const { container, signal } = options;
  const { origin } = container;
  const format = options.format ?? (await detectFormat(readContent(origin, signal), origin.sizeBytes));
  if (format === 'raw') return { format, sizeBytes: origin.sizeBytes };
  const layer: FormatLayer = { container, format, backing: options.backing };
  const decoder = new Decoder(layer, options);
  try {
    const decoding = await waitFor(`probe of ${origin.url}`, decoder.running(), { signal });
    const sizeBytes = await decodedSizeBytes(decoding.socketPath, options.log);
    if (sizeBytes === 0) throw new OriginError('ERR_FORMAT', `${origin.url}: its content is empty`);
    // QEMU reads zeros where a file was cut off.
    const reach = await checkLayer(layer, { deep: options.deep, signal });
    return { format, sizeBytes, container: reach };
  } finally {
    await decoder.close();
  }
}
