/** Maps over slow links, by connections that were made with a view and are used once, or by new ones. */
import { CopseError } from '../../../src/base/error.js';
import type { DiskService } from '../../../src/disk/service/service.js';
import type { Links } from './link.js';

interface Side {
  readonly id: string;
  readonly service: DiskService;
}

type Served = Awaited<ReturnType<DiskService['map']>>;

export class LinkMap {
  readonly #ready = new Map<string, Served>();

  /** A connection for a handover that may come. */
  async make(asker: Side, asked: Side, uuid: string, links: Links): Promise<void> {
    const served = await links.ask(asker.id, asked.id, 'map open', () => open(asker, asked, uuid, false)).catch(() => undefined);
    if (served !== undefined) this.#ready.set(asked.id, served);
  }

  async read(
    asker: Side,
    asked: Side,
    uuid: string,
    { links, blockCount, takeChanges, shakeCount }: { links: Links; blockCount: number; takeChanges: boolean; shakeCount: number },
  ): Promise<Uint8Array> {
    const ready = this.#ready.get(asked.id);
    this.#ready.delete(asked.id);
    if (ready !== undefined && !takeChanges) {
      const states = await links.ask(asker.id, asked.id, 'map', async () => copyOf(ready, blockCount)).catch(() => undefined);
      if (states !== undefined) return states;
    }
    await links.shake(asker.id, asked.id, shakeCount);
    const served = await links.ask(asker.id, asked.id, 'map open', () => open(asker, asked, uuid, takeChanges));
    return links.ask(asker.id, asked.id, 'map', async () => copyOf(served, blockCount));
  }
}

function open(asker: Side, asked: Side, uuid: string, takeChanges: boolean): Promise<Served> {
  return asked.service.map(uuid, { takeChanges, fromNodeId: asker.id });
}

function copyOf(served: Served, blockCount: number): Uint8Array {
  if (served === undefined || served.blockCount !== blockCount) throw new CopseError('ERR_PEER_REFUSED', 'it has no such map');
  const target = Buffer.alloc(blockCount);
  served.copy(target);
  return target;
}
