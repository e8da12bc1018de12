/** Texts about disks: owner, image, blocks on other nodes, fences and losses. */
import type { DiskPlace, DiskStatus } from '../admin/control.js';
import { formatSize } from '../base/size.js';
import { exportUri } from './describe.js';
import { formatList, formatTable } from './table.js';

/** Places as the table names them, beside the owner's id. */
const placeText: Record<DiskPlace, string> = {
  owner: 'here',
  elsewhere: 'elsewhere',
  unreachable: 'unreachable',
  granted: 'granted',
};

export function describeDisks(disks: DiskStatus[]): string {
  if (disks.length === 0) return 'no disks; create one by "copse disk create NAME --image IMAGE"';
  const rows = disks.map((disk) => [
    disk.name,
    formatSize(disk.sizeBytes),
    disk.image ?? '-',
    disk.owner,
    placeText[disk.place],
    disk.overlay === undefined ? '-' : formatSize(disk.overlay.dataBytes),
    [String(disk.connections), ...disk.remoteConnections].join(' + '),
  ]);
  const notes = disks.flatMap(({ name, message }) => (message === undefined ? [] : [`${name}: ${message}`]));
  return [formatTable(['name', 'size', 'image', 'owner', 'place', 'written', 'attached'], rows), ...notes].join('\n');
}

/** @param listeners `listeners` of a `DaemonStatus` */
export function describeDisk(disk: DiskStatus, listeners: string[]): string {
  const head = formatList([
    ['name', disk.name],
    ['uuid', disk.uuid],
    ['size', `${formatSize(disk.sizeBytes)} (${disk.sizeBytes} bytes)`],
    ['image', disk.image ?? 'none, blank'],
    ['created', disk.createdAt],
    ['owner', describeOwner(disk)],
    ['epoch', String(disk.epoch)],
    ['handover', describeHandover(disk)],
    ['multi-conn', disk.multiConn ? 'yes: clients do not displace each other' : undefined],
    ['clients', describeClients(disk)],
    ['written', describeOverlay(disk.overlay)],
    ...disk.toCome.map((part): [string, string] => ['to come', describeToCome(part)]),
    ['copied ahead', disk.replica && `to ${disk.replica.node}, ${describeBehind(disk.replica.behindBytes)}`],
    ...disk.fences.map(({ client, by, at }): [string, string] => ['fenced', `${client}, displaced by ${by} at ${at}`]),
    ['', disk.fences.length === 0 ? undefined : describeWayBack(disk.name)],
    ['lost data', describeLoss(disk.loss)],
    ['message', disk.message],
    ...listeners.map((listener): [string, string] => ['attach', exportUri(listener, disk.name)]),
  ]);
  if (disk.snapshots.length === 0) return head;
  const rows = disk.snapshots.map(({ name, createdAt, sizeBytes, dataBytes }) => [
    name,
    createdAt,
    formatSize(sizeBytes),
    formatSize(dataBytes),
  ]);
  return `${head}\n\n${formatTable(['snapshot', 'created', 'size', 'written'], rows)}`;
}

function describeOwner({ owner, place }: DiskStatus): string {
  switch (place) {
    case 'owner':
      return `${owner}, this node`;
    case 'elsewhere':
      return `${owner}; clients here read through that node`;
    case 'unreachable':
      return `${owner}, which does not answer and has the written blocks`;
    case 'granted':
      return `handed over to ${owner}, which has not yet confirmed: no client can write until then`;
  }
}

function describeHandover({ handover, name }: DiskStatus): string {
  return handover === 'auto' ? 'auto: to the node on which a client writes' : `explicit: only by "copse disk take ${name}"`;
}

function describeClients({ connections, remoteConnections }: DiskStatus): string {
  const here = `${connections} here`;
  return remoteConnections.length === 0 ? here : `${here}, others on ${remoteConnections.join(', ')}`;
}

function describeOverlay(overlay: DiskStatus['overlay']): string | undefined {
  if (overlay === undefined) return undefined;
  const { dataBytes, zeroBytes, allocatedBytes } = overlay;
  const zeros = zeroBytes === 0 ? '' : `, ${formatSize(zeroBytes)} of zeros`;
  return `${formatSize(dataBytes)}${zeros}; ${formatSize(allocatedBytes)} on this host's disk`;
}

function describeToCome({ node, bytes, reachable }: DiskStatus['toCome'][number]): string {
  const trouble = reachable ? '' : ', which does not answer: reads of these blocks fail meanwhile';
  return `${formatSize(bytes)} from ${node}${trouble}`;
}

function describeBehind(behindBytes: number): string {
  return behindBytes === 0 ? 'complete' : `${formatSize(behindBytes)} behind`;
}

function describeLoss(loss: DiskStatus['loss']): string | undefined {
  if (loss === undefined) return undefined;
  const { at, lastSyncAt, openedAt, error, isMarked } = loss;
  const since = lastSyncAt === undefined ? `none since the daemon opened it at ${openedAt ?? 'an unknown time'}` : lastSyncAt;
  const marked = isMarked ? '' : '; the mark beside the disk could not be written';
  return `a sync failed at ${at ?? 'an unknown time'}${error === undefined ? '' : ` (${error})`}; last good flush: ${since}${marked}`;
}

function describeWayBack(name: string): string {
  return `these clients get errors until "copse disk take ${name}": first make sure that only one of them uses the disk`;
}
