/**
 * Creates disks: over an image, or blank.
 *
 * Invariant: of two commands that make an export of one name, on this node only one goes on; with
 * etcd, in the whole cluster.
 */
import { randomUUID } from 'node:crypto';
import type { DiskCreateRequest } from '../../admin/schema-disk.js';
import { CopseError } from '../../base/error.js';
import { checkExportName } from '../../base/export-name.js';
import { blockBytes } from '../../base/native/overlay.js';
import { formatSize } from '../../base/size.js';
import type { DiskOrigins } from '../../catalog/disk-origin.js';
import { type ExportNames, takenError } from '../../catalog/export-names.js';
import { DiskFolder } from '../../disk/folder/folder.js';
import type { EtcdDiskIndex } from '../../disk/knowledge/etcd-index.js';
import type { DiskExport } from '../../disk/owner/disk-export.js';
import type { DiskRecord } from '../../disk/protocol/record.js';
import type { ImageRegistry } from '../../image/registry.js';
import type { DiskLookup } from './disk-lookup.js';

export interface DiskCreatorOptions {
  lookup: DiskLookup;
  images: ImageRegistry;
  names: ExportNames;
  /**
   * Finds the node that serves an image of a name; absent where the catalog knows the images of all
   * nodes.
   */
  imageElsewhere: ((name: string) => Promise<string | undefined>) | undefined;
  /** Names of disks that all nodes agree on; absent without etcd. */
  index: EtcdDiskIndex | undefined;
  /** Contents whose origins this node may open for disks. */
  origins: DiskOrigins;
}

export class DiskCreator {
  readonly #options: DiskCreatorOptions;

  constructor(options: DiskCreatorOptions) {
    this.#options = options;
  }

  /** @throws CopseError `ERR_NAME`, `ERR_SIZE`, `ERR_NO_SUCH_IMAGE`, `ERR_DISK_EXISTS` */
  async create(request: DiskCreateRequest): Promise<DiskExport> {
    const { name } = request;
    checkExportName(name);
    return this.#options.names.claim(name, 'disk', async () => {
      await this.refuseTaken(name);
      const record = this.#recordOf(request);
      if (record.image !== undefined) this.#options.origins.remember(record.image.content);
      return this.#make(record);
    });
  }

  /**
   * Looks before a disk is made of a name that the caller has claimed. @throws CopseError
   * `ERR_DISK_EXISTS`
   */
  async refuseTaken(name: string): Promise<void> {
    const { lookup, images, imageElsewhere } = this.#options;
    if (images.has(name)) throw takenError(name, 'disk');
    const node = await imageElsewhere?.(name);
    if (node !== undefined) throw takenError(name, 'disk', `node ${node} serves an image "${name}"`);
    const known = await lookup.registry.search(name);
    if (known === undefined) return;
    throw new CopseError(
      'ERR_DISK_EXISTS',
      `disk "${name}" exists, on node ${lookup.statusOf(known).owner}: choose another name, or remove it first`,
    );
  }

  #recordOf(request: DiskCreateRequest): DiskRecord {
    const { images } = this.#options;
    const image = request.image === undefined ? undefined : images.get(request.image).record;
    const minBytes = image?.content.sizeBytes ?? 0;
    const sizeBytes = wholeBlocks(request.sizeBytes ?? minBytes);
    if (sizeBytes === 0) throw new CopseError('ERR_SIZE', `disk "${request.name}" has no image: say how large it is (--size)`);
    if (sizeBytes < minBytes) {
      throw new CopseError(
        'ERR_SIZE',
        `disk "${request.name}": ${formatSize(sizeBytes)} is less than image "${image?.name}" has (${formatSize(minBytes)})`,
      );
    }
    return {
      format: 1,
      name: request.name,
      uuid: randomUUID(),
      sizeBytes,
      image: image === undefined ? undefined : { name: image.name, content: image.content, share: image.share },
      createdAt: new Date().toISOString(),
      multiConn: request.multiConn ?? false,
      handover: request.handover ?? 'auto',
      deadlineMs: request.deadlineMs,
    };
  }

  /**
   * With etcd, first takes the name there. If the disk can't be made, the next look at etcd removes
   * the entry.
   */
  async #make(record: DiskRecord): Promise<DiskExport> {
    const { lookup, index } = this.#options;
    const { registry } = lookup;
    const { peers, diskDir, room } = registry.options;
    if (index !== undefined && peers !== undefined) await index.claim({ record, owner: peers.self, epoch: 1, dataBytes: 0 });
    try {
      return await registry.host(await DiskFolder.create(diskDir, record, { format: 1, state: 'owner', epoch: 1, nodes: {} }, { room }));
    } finally {
      index?.made(record.name);
      registry.changed();
    }
  }
}

/** Rounds a size up to whole blocks of an overlay. */
export function wholeBlocks(sizeBytes: number): number {
  return Math.ceil(sizeBytes / blockBytes) * blockBytes;
}
