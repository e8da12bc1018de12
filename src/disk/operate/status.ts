/** What people are told of a disk. */
import type { DiskPlace, DiskStatus } from '../../admin/schema-disk.js';
import { lossError } from '../folder/loss.js';
import type { KnownDisks } from '../knowledge/known-disks.js';
import type { DiskExport } from '../owner/disk-export.js';
import type { RemoteNodes } from '../protocol/remote-nodes.js';
import type { DiskNotes } from '../session/notes.js';

export interface DiskStatusContext {
  selfId: string;
  known: KnownDisks;
  notes: DiskNotes;
  peers: RemoteNodes | undefined;
  /** Where a copy of a disk is being made ahead, by uuid. */
  migratingTo(uuid: string): string | undefined;
}

export function diskStatus(disk: DiskExport, context: DiskStatusContext): DiskStatus {
  const { record, hosted, isOwner, attachment } = disk;
  const { selfId, known, notes, peers } = context;
  const state = hosted?.state;
  const told = known.get(record.uuid);
  // After a chain of handovers the last one is known from elsewhere.
  const away =
    state?.to !== undefined && (told === undefined || told.epoch <= state.epoch + 1) ? { owner: state.to, epoch: state.epoch + 1 } : told;
  const owner = isOwner ? selfId : (away?.owner.id ?? 'unknown');
  const trouble = [...disk.trouble].map(([node, reason]) => `node ${node} does not give its blocks: ${reason}`);
  const trust = diskTrouble(disk);
  const missing = isOwner ? hosted?.base?.trouble?.() : undefined;
  if (missing !== undefined) trouble.push(missing);
  const replica = context.migratingTo(record.uuid);
  return {
    name: record.name,
    uuid: record.uuid,
    sizeBytes: record.sizeBytes,
    image: record.image?.name,
    createdAt: record.createdAt,
    place: placeOf(disk, owner, peers),
    owner,
    epoch: isOwner ? (state?.epoch ?? 0) : (away?.epoch ?? 0),
    handover: record.handover,
    multiConn: record.multiConn,
    connections: attachment.count,
    remoteConnections: disk.remoteNodes,
    overlay:
      hosted === undefined || !isOwner
        ? undefined
        : { dataBytes: hosted.overlay.dataBytes, zeroBytes: hosted.overlay.zeroBytes, allocatedBytes: hosted.overlay.allocatedBytes() },
    toCome:
      isOwner && hosted !== undefined
        ? hosted.toCome().map(({ node, bytes }) => ({ node, bytes, reachable: peers?.isUp(node) ?? false }))
        : [],
    replica:
      isOwner && hosted !== undefined && replica !== undefined ? { node: replica, behindBytes: hosted.overlay.changedBytes } : undefined,
    snapshots: (hosted?.folder.snapshots() ?? []).map(({ name, createdAt, sizeBytes, dataBytes }) => ({
      name,
      createdAt,
      sizeBytes,
      dataBytes,
    })),
    fences: notes.fences(record.uuid).map(({ client, by, at }) => ({ client, by, at })),
    loss: hosted?.loss,
    message: trust.length > 0 ? trust.join('; ') : trouble.length > 0 ? trouble.join('; ') : messageOf(disk, owner, peers),
  };
}

/** Trouble of the disk's files on this node, as text: lost data, files that are gone, a file system that takes no writes. */
export function diskTrouble({ record, hosted }: DiskExport): string[] {
  const loss = hosted?.loss;
  const told = loss === undefined ? [] : [lossError(record.name, loss).message];
  return [...told, ...(hosted?.trouble === undefined ? [] : [`disk "${record.name}": ${hosted.trouble}`])];
}

function placeOf(disk: DiskExport, owner: string, peers: RemoteNodes | undefined): DiskPlace {
  if (disk.isOwner) return 'owner';
  if (disk.hosted?.state.to?.accepted === false) return 'granted';
  return peers?.isUp(owner) ? 'elsewhere' : 'unreachable';
}

function messageOf(disk: DiskExport, owner: string, peers: RemoteNodes | undefined): string | undefined {
  if (disk.isOwner) return undefined;
  if (disk.hosted?.state.to?.accepted === false) {
    return `it was handed to node ${owner}, which has not said yet that it has it: nobody writes until it answers`;
  }
  if (!peers?.isUp(owner))
    return `node ${owner} does not answer, and the disk's blocks are there: bring it back; if it is lost for good, "copse disk take --force"`;
  return undefined;
}
