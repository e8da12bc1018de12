/** Texts about domains and their disks. */
import { formatSize } from '../base/size.js';
import type { ExportBytes, InventoryDisk, InventoryDomain } from '../libvirt/inventory.js';
import { formatTable } from './table.js';
import { percent } from './text.js';

/** A table with a line for each disk, and one for each domain without disks. */
export function describeInventory(domains: readonly InventoryDomain[]): string {
  if (domains.length === 0) return 'no domain has a disk of this daemon; attach one by "copse libvirt attach DOMAIN DISK"';
  const rows = domains.flatMap(({ name, state, disks }) => {
    if (disks.length === 0) return [[name, state, '-', '-', '-', '-']];
    return disks.map((disk) => [name, state, disk.target, disk.export, describeKind(disk), describeBytes(disk.bytes)]);
  });
  return formatTable(['domain', 'state', 'target', 'export', 'kind', 'bytes'], rows);
}

function describeKind({ overlays, bytes }: InventoryDisk): string {
  const kind = bytes?.kind ?? '?';
  return overlays === 0 ? kind : `${kind} below qcow2`;
}

function describeBytes(bytes: ExportBytes | undefined): string {
  if (bytes === undefined) return 'NOT SERVED: this daemon has no export of that name';
  return [...describeDisk(bytes), ...describeImage(bytes), ...describeReads(bytes)].join('; ');
}

function describeDisk({ disk }: ExportBytes): string[] {
  if (disk === undefined) return [];
  const { place, owner, overlay, toCome } = disk;
  const written = overlay === undefined ? 'its writes' : `${formatSize(overlay.dataBytes)} written`;
  const where = {
    owner: 'here',
    elsewhere: `on ${owner}, read through that node`,
    unreachable: `on ${owner}, WHICH DOES NOT ANSWER`,
    granted: `handed over to ${owner}, which has not yet confirmed`,
  }[place];
  const missing = toCome.map(
    ({ node, bytes, reachable }) => `${formatSize(bytes)} to come from ${node}${reachable ? '' : ', WHICH DOES NOT ANSWER'}`,
  );
  return [`${written} ${where}`, ...missing];
}

function describeImage({ kind, image }: ExportBytes): string[] {
  if (image === undefined) return kind === 'disk' ? ['no image'] : [];
  const name = kind === 'disk' ? `image ${image.name} ` : '';
  return [`${name}${percent(image.cachedBytes, image.sizeBytes)} % of ${formatSize(image.sizeBytes)} cached`];
}

function describeReads({ read }: ExportBytes): string[] {
  const total = read === undefined ? 0 : read.cache + read.peer + read.origin;
  if (read === undefined || total === 0) return [];
  const shares = (['cache', 'peer', 'origin'] as const).map((source) => `${source} ${percent(read[source], total)} %`);
  return [`read from ${shares.join(', ')}`];
}
