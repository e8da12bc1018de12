/**
 * Turns a request to add an image into a record: asks the origin what it has now, finds the format, and pins both.
 *
 * What is read meanwhile (headers, for the most part) is cached under the new content already.
 */
import type { ImageAddRequest } from '../admin/control.js';
import { CopseError } from '../base/error.js';
import type { Logger } from '../base/log.js';
import type { ImageCatalog } from '../catalog/image-catalog.js';
import type { ContentSpec, ImageRecord } from '../catalog/image-record.js';
import type { FormatLayer } from '../origin/format/layer.js';
import { probeFormat } from '../origin/format/probe.js';
import { pinOrigin } from '../origin/open.js';
import type { OriginCredential } from '../origin/origin.js';
import type { ContentLease, ContentPool } from './content-pool.js';

export interface ImagePinnerOptions {
  catalog: ImageCatalog;
  pool: ContentPool;
  runDir: string;
  credentials: OriginCredential[];
  defaultChunkSizeBytes: number;
  log: Logger;
}

export class ImagePinner {
  readonly #options: ImagePinnerOptions;

  constructor(options: ImagePinnerOptions) {
    this.#options = options;
  }

  /** @throws what `pinOrigin` and `probeFormat` do, CopseError `ERR_NO_SUCH_IMAGE` for a backing image that does not exist */
  async pin(request: ImageAddRequest, signal?: AbortSignal): Promise<ImageRecord> {
    const { credentials, defaultChunkSizeBytes, log, pool, runDir } = this.#options;
    const { name, url, deadlineMs } = request;
    const identity = await pinOrigin(url, { credentials, log, signal });
    const chunkSizeBytes = request.chunkSizeBytes ?? defaultChunkSizeBytes;
    const backing = this.#backingSpecs(request.backing);
    const draft: ContentSpec = { url, identity, format: 'raw', sizeBytes: identity.sizeBytes, chunkSizeBytes };
    const below: ContentLease[] = [];
    try {
      const container = await pool.container(draft, below);
      const layers: Record<string, FormatLayer> = {};
      for (const [file, spec] of Object.entries(backing ?? {})) layers[file] = await pool.layer(spec, below);
      const { format, sizeBytes } = await probeFormat({ container, format: request.format, backing: layers, signal, runDir, log });
      const content: ContentSpec = format === 'raw' ? draft : { ...draft, format, sizeBytes, backing };
      return { version: 1, name, content, deadlineMs, backingImages: request.backing, pinnedAt: new Date().toISOString() };
    } finally {
      for (const lease of below) await lease.release();
    }
  }

  #backingSpecs(backing: Record<string, string> | undefined): Record<string, ContentSpec> | undefined {
    if (backing === undefined) return undefined;
    const specs: Record<string, ContentSpec> = {};
    for (const [file, imageName] of Object.entries(backing)) {
      const record = this.#options.catalog.get(imageName);
      if (record === undefined) {
        throw new CopseError('ERR_NO_SUCH_IMAGE', `backing file ${file}: there is no image "${imageName}"; add it first`);
      }
      specs[file] = record.content;
    }
    return specs;
  }
}
