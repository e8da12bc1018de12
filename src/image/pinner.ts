/**
 * Turns a request to add an image into a record: it reads the present identity from the origin,
 * finds the format, and pins both. The manifest of a sealed image is in this node's store before
 * any byte of the image is read.
 *
 * Bytes that are read meanwhile, mostly headers, are cached under the new content already.
 */
import type { ImageAddRequest } from '../admin/schema-image.js';
import { checkDigest } from '../base/digest-text.js';
import { displayUrl } from '../base/display-url.js';
import { CopseError } from '../base/error.js';
import type { Logger } from '../base/log.js';
import { formatSize } from '../base/size.js';
import type { Catalog } from '../catalog/catalog.js';
import type { ContentSpec, ImageRecord, ManifestPin } from '../catalog/image-record.js';
import { ManifestError } from '../manifest/format.js';
import type { Manifest } from '../manifest/manifest.js';
import type { FormatLayer } from '../origin/format/layer.js';
import { probeFormat } from '../origin/format/probe.js';
import { pinOrigin } from '../origin/open.js';
import type { OriginCredential } from '../origin/origin.js';
import type { ContentLease, ContentPool } from './content-pool.js';
import type { ManifestSource } from './manifest-source.js';

export interface ImagePinnerOptions {
  catalog: Catalog;
  pool: ContentPool;
  runDir: string;
  credentials: OriginCredential[];
  defaultChunkSizeBytes: number;
  manifests: ManifestSource;
  /**
   * In a cluster: resolves when the neighbours have told what they serve now. So nodes that add the
   * same image together ask the origin once.
   */
  settle?: (() => Promise<void>) | undefined;
  /**
   * In a cluster: true to pin files by their digest, too, so that hosts with the same file can
   * tell. That reads the whole file.
   */
  digestFiles?: boolean | undefined;
  log: Logger;
}

export class ImagePinner {
  readonly #options: ImagePinnerOptions;

  constructor(options: ImagePinnerOptions) {
    this.#options = options;
  }

  /**
   * Pins the image of a request.
   *
   * @throws the errors of `pinOrigin`, `probeFormat` and `ManifestSource.ensure`; CopseError
   * `ERR_NO_SUCH_IMAGE` if a backing image does not exist; `ERR_OPTION` for a manifest without a
   * digest, or with another chunk size; ManifestError `ERR_MANIFEST` for a manifest of another size
   */
  async pin(request: ImageAddRequest, signal?: AbortSignal): Promise<ImageRecord> {
    const { credentials, defaultChunkSizeBytes, digestFiles, log, pool, runDir } = this.#options;
    const { name, url, deadlineMs, share } = request;
    const backing = this.#backingSpecs(request.backing);
    const sealed = await this.#manifestOf(request, signal);
    // Each chunk is checked by the manifest, so the digest of the whole is not needed.
    const digest = digestFiles && sealed === undefined && share !== 'never';
    const identity = await pinOrigin(url, { credentials, log, signal, sealed: sealed !== undefined, digest });
    if (sealed !== undefined) checkSize(url, identity.sizeBytes, sealed.manifest);
    const chunkSizeBytes = sealed?.manifest.chunkBytes ?? request.chunkSizeBytes ?? defaultChunkSizeBytes;
    const raw: ContentSpec = { url, identity, format: 'raw', sizeBytes: identity.sizeBytes, chunkSizeBytes };
    const draft: ContentSpec = sealed === undefined ? raw : { ...raw, manifest: sealed.pin };
    const below: ContentLease[] = [];
    try {
      const container = await pool.container(draft, below, share);
      await this.#options.settle?.();
      const layers: Record<string, FormatLayer> = {};
      for (const [file, spec] of Object.entries(backing ?? {})) layers[file] = await pool.layer(spec, below, share);
      const { format: asked, deep } = request;
      const probe = await probeFormat({ container, format: asked, backing: layers, deep, signal, runDir, log });
      const { format, sizeBytes } = probe;
      const content: ContentSpec = format === 'raw' ? draft : { ...draft, format, sizeBytes, backing };
      const pinnedAt = new Date().toISOString();
      return { version: 1, name, content, deadlineMs, backingImages: request.backing, share, pinnedAt, container: probe.container };
    } finally {
      for (const lease of below) await lease.release();
    }
  }

  /** Brings the manifest of the request into this node's store. */
  async #manifestOf(
    request: ImageAddRequest,
    signal: AbortSignal | undefined,
  ): Promise<{ pin: ManifestPin; manifest: Manifest } | undefined> {
    const { digest, manifest: url, chunkSizeBytes } = request;
    if (digest === undefined) {
      if (url === undefined) return undefined;
      const text = `manifest ${displayUrl(url)}: give its digest too (--digest), as "copse image seal" printed it; without it nothing tells the right manifest`;
      throw new CopseError('ERR_OPTION', text);
    }
    checkDigest(digest);
    const { manifests } = this.#options;
    if (manifests === undefined) throw new CopseError('ERR_OPTION', 'this node keeps no manifests');
    const pin: ManifestPin = { digest, ...(url === undefined ? {} : { url }) };
    const manifest = await manifests.ensure(pin, signal);
    if (chunkSizeBytes !== undefined && chunkSizeBytes !== manifest.chunkBytes) {
      const [asked, is] = [formatSize(chunkSizeBytes), formatSize(manifest.chunkBytes)];
      throw new CopseError(
        'ERR_OPTION',
        `chunk size ${asked}: the image is sealed in chunks of ${is}; leave the chunk size out, or seal it again`,
      );
    }
    return { pin, manifest };
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

function checkSize(url: string, sizeBytes: number, manifest: Manifest): void {
  if (sizeBytes === manifest.sizeBytes) return;
  const text = `${displayUrl(url)} has ${sizeBytes} bytes, the manifest is of an image of ${manifest.sizeBytes}: it is of another image or another version`;
  throw new ManifestError('ERR_MANIFEST', text);
}
