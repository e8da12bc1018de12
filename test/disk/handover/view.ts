/** The disk at its owner, as a node of a room sees it. */

import { CopseError } from '../../../src/base/error.js';
import type { BlockDevice } from '../../../src/device/device.js';
import { OwnerView } from './owner-view.js';

type Served = { device: BlockDevice; release(): void } | undefined;
type Ask = <T>(what: string, work: (served: Served) => Promise<T>) => Promise<T>;

export class ScriptedView extends OwnerView {
  readonly #ask: Ask;
  #attached: (() => void) | undefined;

  constructor(sizeBytes: number, ask: Ask) {
    super(sizeBytes);
    this.#ask = ask;
  }

  async close(): Promise<void> {
    this.#attached?.();
  }

  protected ask<T>(step: string, work: (device: BlockDevice) => Promise<T>): Promise<T> {
    return this.#ask(step, async (served) => {
      if (served === undefined) throw new CopseError('ERR_NOT_OWNER', 'it has no such disk');
      if (this.#attached === undefined) this.#attached = served.release;
      else served.release();
      return work(served.device);
    });
  }
}
