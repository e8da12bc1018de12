/** Exports of this node for its clients: disks and images, which share one name space. */
import type { DiskExport } from '../disk/owner/disk-export.js';
import type { DiskRegistry } from '../disk/owner/registry.js';
import type { ImageRegistry } from '../image/registry.js';
import type { ClientIdentity, Export, ExportDirectory, ExportView } from '../server/export.js';

export class NodeExports implements ExportDirectory {
  readonly #images: ImageRegistry;
  readonly #disks: DiskRegistry;

  constructor(images: ImageRegistry, disks: DiskRegistry) {
    this.#images = images;
    this.#disks = disks;
  }

  *list(): Iterable<{ name: string; description: string }> {
    // An earlier version permitted a disk and an image of one name. Clients get the disk.
    for (const image of this.#images.list()) if (!this.#disks.has(image.name)) yield image;
    yield* this.#disks.list();
  }

  exportCount(): number {
    return this.#images.exportCount() + this.#disks.exportCount;
  }

  async open(name: string, client: ClientIdentity): Promise<Export | undefined> {
    return this.#find(
      name,
      (disk) => this.#disks.attach(disk, client),
      () => this.#images.open(name),
    );
  }

  async view(name: string): Promise<ExportView | undefined> {
    return this.#find(
      name,
      async (disk) => this.#disks.view(disk),
      async () => this.#images.view(name),
    );
  }

  async #find<T>(name: string, ofDisk: (disk: DiskExport) => Promise<T>, ofImage: () => Promise<T | undefined>): Promise<T | undefined> {
    const known = this.#disks.find(name);
    if (known !== undefined) return ofDisk(known);
    const image = await ofImage();
    if (image !== undefined) return image;
    // Another node may have made the disk a moment ago.
    const found = await this.#disks.search(name);
    return found && ofDisk(found);
  }
}
