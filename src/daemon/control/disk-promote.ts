/**
 * Makes an image of a disk: a raw file, its manifest, and a name in the catalog.
 *
 * Invariant: a file in the state directory whose image could not be added is removed, unless the
 * catalog may hold the image.
 */
import type { PromoteOptions } from '../../admin/control-disk.js';
import type { PromoteResult } from '../../admin/schema-disk.js';
import { CopseError, errorCode } from '../../base/error.js';
import { checkExportName } from '../../base/export-name.js';
import type { ExportNames } from '../../catalog/export-names.js';
import { writeImage } from '../../disk/operate/promote.js';
import type { PromotedFiles } from '../../image/promoted-files.js';
import type { ImageRegistry } from '../../image/registry.js';
import type { ManifestStore } from '../../manifest/store.js';
import { type DiskLookup, isUsed } from './disk-lookup.js';

export interface DiskPromoterOptions {
  lookup: DiskLookup;
  images: ImageRegistry;
  names: ExportNames;
  manifestStore: ManifestStore;
  /** Place of images for which the operator names no file. */
  files: PromotedFiles;
  defaultChunkSizeBytes: number;
}

export class DiskPromoter {
  readonly #options: DiskPromoterOptions;

  constructor(options: DiskPromoterOptions) {
    this.#options = options;
  }

  /**
   * @throws CopseError `ERR_NAME`, `ERR_IMAGE_EXISTS`, `ERR_DISK_IN_USE`, and as `DiskLookup.owned`
   */
  async promote(name: string, image: string, { path, ...options }: PromoteOptions): Promise<PromoteResult> {
    const { lookup, images, names, manifestStore, files, defaultChunkSizeBytes } = this.#options;
    checkExportName(image);
    return names.claim(image, 'image', async () => {
      await images.refuseTaken(image);
      const disk = await lookup.owned(name);
      if (isUsed(disk))
        throw new CopseError('ERR_DISK_IN_USE', `disk "${name}" has clients attached, who may write meanwhile: detach them first`);
      const target = path ?? files.pathFor(image);
      // On another file system the cache of this state directory has nothing to give.
      const room = path === undefined ? lookup.registry.options.room : undefined;
      const how = { ...options, image, path: target, chunkBytes: defaultChunkSizeBytes, store: manifestStore, room };
      const result = await disk.frozen((hosted) => writeImage(hosted.disk, how));
      try {
        await images.add({ name: image, url: target, format: 'raw', manifest: result.manifestPath, digest: result.digest });
      } catch (error) {
        // With etcd away this node can't tell whether the image is in the catalog, so its file
        // stays.
        if (path === undefined && errorCode(error) !== 'ERR_ETCD_UNAVAILABLE') {
          files.mark({ url: target, manifest: { digest: result.digest } });
          await files.sweep();
        }
        throw error;
      }
      return result;
    });
  }
}
