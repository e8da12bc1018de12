/** What another node's overlay has of a disk, over a slow link: one connection until it fails. */
import { CopseError } from '../../../src/base/error.js';
import type { BlockSource } from '../../../src/disk/protocol/remote-nodes.js';
import type { DiskService } from '../../../src/disk/service/service.js';
import { PeerBlocksDevice } from '../../../src/peer/server/blocks-device.js';
import type { Links } from './link.js';

export interface LinkBlocksOptions {
  links: Links;
  from: string;
  to: string;
  open(): ReturnType<DiskService['blocks']>;
}

export class LinkBlocks implements BlockSource {
  readonly #options: LinkBlocksOptions;
  #device: PeerBlocksDevice | undefined;

  constructor(options: LinkBlocksOptions) {
    this.#options = options;
  }

  async read(target: Buffer, offset: number): Promise<void> {
    const { links, from, to } = this.#options;
    const device = this.#device ?? (await links.ask(from, to, 'blocks open', () => this.#open()));
    this.#device = device;
    try {
      await links.ask(from, to, 'blocks', () => device.read(target, offset));
    } catch (error) {
      this.#device = undefined;
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#device = undefined;
  }

  async #open(): Promise<PeerBlocksDevice> {
    const served = await this.#options.open();
    if (served === undefined) throw new CopseError('ERR_PEER_REFUSED', 'it has no such disk');
    return new PeerBlocksDevice(served.overlay);
  }
}
