/** The disk at its owner over a slow link: attached from the first moment on, and until its end has arrived. */

import { CopseError } from '../../../src/base/error.js';
import type { BlockDevice } from '../../../src/device/device.js';
import type { DiskService } from '../../../src/disk/service/service.js';
import { OwnerView } from '../handover/owner-view.js';
import type { Links } from './link.js';

type Served = Awaited<ReturnType<DiskService['disk']>>;

export interface LinkViewOptions {
  links: Links;
  from: string;
  to: string;
  open(): Promise<Served>;
}

export class LinkView extends OwnerView {
  readonly #options: LinkViewOptions;
  readonly #served: Promise<Served>;
  #closed = false;

  constructor(sizeBytes: number, options: LinkViewOptions) {
    super(sizeBytes);
    const { links, from, to, open } = options;
    this.#options = options;
    this.#served = links.ask(from, to, 'view open', open);
    this.#served.catch(() => {});
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const { links, from, to } = this.#options;
    const served = await this.#served.catch(() => undefined);
    if (served !== undefined) await links.ask(from, to, 'view close', async () => served.release());
  }

  protected async ask<T>(step: string, work: (device: BlockDevice) => Promise<T>): Promise<T> {
    const { links, from, to } = this.#options;
    const served = await this.#served;
    if (served === undefined || this.#closed) throw new CopseError('ERR_NOT_OWNER', 'it has no such disk');
    return links.ask(from, to, step, () => work(served.device));
  }
}
