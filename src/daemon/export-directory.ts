/** What clients of this node can attach to: disks and images, which share the names. */
import type { DiskRegistry } from '../disk/registry.js';
import type { ClientIdentity, Export, ExportDirectory } from '../server/export.js';

export class NodeExports implements ExportDirectory {
  readonly #images: ExportDirectory;
  readonly #disks: DiskRegistry;

  constructor(images: ExportDirectory, disks: DiskRegistry) {
    this.#images = images;
    this.#disks = disks;
  }

  list(): { name: string; description: string }[] {
    const disks = this.#disks.list();
    const names = new Set(disks.map(({ name }) => name));
    // Of an image and a disk of one name, which an earlier version let be, clients get the disk.
    return [...this.#images.list().filter(({ name }) => !names.has(name)), ...disks];
  }

  async open(name: string, client: ClientIdentity): Promise<Export | undefined> {
    const known = this.#disks.find(name);
    if (known !== undefined) return this.#disks.attach(known, client);
    const image = await this.#images.open(name, client);
    if (image !== undefined) return image;
    // Made on another node a moment ago, perhaps.
    const found = await this.#disks.search(name);
    return found === undefined ? undefined : this.#disks.attach(found, client);
  }
}
