/** Lists the domains that have disks of Copse, with the sources of the disks' bytes. */
import type { Control, DiskStatus, Explanation } from '../admin/control.js';
import { tryExport } from './export-facts.js';
import type { Domain } from './hypervisor.js';
import { Listeners } from './listener.js';

export interface InventoryDisk {
  /** `vda` */
  target: string;
  bus?: string | undefined;
  export: string;
  /** Count of overlays between the guest and the export. */
  overlays: number;
  /** Absent if the daemon has no export of that name. */
  bytes?: ExportBytes | undefined;
}

/** Sources of an export's bytes, over all its guests, since the daemon started. */
export interface ExportBytes {
  kind: 'image' | 'disk';
  sizeBytes: number;
  /** The image itself, or the image below the disk, and the bytes of it that this host holds. */
  image?: { name: string; sizeBytes: number; cachedBytes: number } | undefined;
  /** Bytes that guests have read, by source. */
  read?: Record<'cache' | 'peer' | 'origin', number> | undefined;
  disk?: Pick<DiskStatus, 'place' | 'owner' | 'overlay' | 'toCome' | 'message'> | undefined;
}

export interface InventoryDomain {
  name: string;
  uuid: string;
  state: string;
  persistent: boolean;
  /** In the order of the domain's XML. */
  disks: InventoryDisk[];
}

/** @param domains sorted by name, as the result is */
export async function takeInventory(domains: readonly Domain[], control: Control): Promise<InventoryDomain[]> {
  const { listeners } = await control.node.status();
  const known = Listeners.fromUris(listeners);
  const asked = new Map<string, Promise<ExportBytes | undefined>>();
  const bytesOf = (name: string): Promise<ExportBytes | undefined> => {
    const answer = asked.get(name) ?? askBytes(control, name);
    asked.set(name, answer);
    return answer;
  };
  return Promise.all(
    domains.map(async ({ name, uuid, state, persistent, current }) => {
      const found = current.disks.flatMap(({ target, bus, sources }) =>
        sources
          .filter(({ address }) => known.has(address))
          .map(async ({ exportName, depth }): Promise<InventoryDisk> => {
            return { target, bus, export: exportName, overlays: depth, bytes: await bytesOf(exportName) };
          }),
      );
      return { name, uuid, state, persistent, disks: await Promise.all(found) };
    }),
  );
}

async function askBytes(control: Control, name: string): Promise<ExportBytes | undefined> {
  const facts = await tryExport(control, name);
  if (facts === undefined) return undefined;
  const imageName = facts.kind === 'image' ? name : facts.disk.image;
  // A disk's image may have left the catalog, while its content stays with the disk.
  const image = imageName === undefined ? undefined : await control.images.status(imageName).catch(() => undefined);
  const explanation = await control.node.explain(name).catch(() => undefined);
  return {
    kind: facts.kind,
    sizeBytes: facts.kind === 'image' ? facts.image.sizeBytes : facts.disk.sizeBytes,
    image: image && { name: image.name, sizeBytes: image.sizeBytes, cachedBytes: image.cache.cachedBytes },
    read: explanation && readBytes(explanation),
    disk: facts.kind === 'image' ? undefined : ownershipOf(facts.disk),
  };
}

function readBytes({ sources: { cache, peer, origin } }: Explanation): ExportBytes['read'] {
  return { cache: cache.bytes, peer: peer.bytes, origin: origin.bytes };
}

function ownershipOf({ place, owner, overlay, toCome, message }: DiskStatus): ExportBytes['disk'] {
  return { place, owner, overlay, toCome, message };
}
