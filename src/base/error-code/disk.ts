/** Codes of disks: files, sessions, ownership, snapshots. */
import type { ErrorEntry } from './kind.js';

export const diskErrors = {
  ERR_NO_SUCH_DISK: ['notFound', 'The disk does not exist.', 'See "copse disk ls".'],
  ERR_NO_SUCH_SNAPSHOT: ['notFound', 'The disk has no snapshot of this name.', 'See "copse disk status".'],
  ERR_DISK_EXISTS: ['conflict', 'The name is taken.', 'Choose another name, or remove the disk first.'],
  ERR_SNAPSHOT_EXISTS: ['conflict', 'The disk has a snapshot of this name.', 'Choose another name, or remove it first.'],
  ERR_DISK_FORMAT: ['internal', 'A newer node has the disk in a format that this node does not know.', 'Upgrade this node.'],
  ERR_DISK_IN_USE: ['conflict', 'Clients are attached to the disk, or domains use it.', 'Detach them first.'],
  ERR_DISK_OPEN: ['conflict', 'Another process has the files of the disk open.', 'End the other process.'],
  ERR_DISK_INCOMPLETE: [
    'conflict',
    'Other nodes still hold blocks of the disk.',
    'Wait until "copse disk status" shows that all are here.',
  ],
  ERR_DISK_LOSS: ['conflict', 'The operation would lose data.', 'Read what would be lost, then confirm by --accept-loss.'],
  ERR_DATA_LOST: ['conflict', 'A sync failed, so flushed data may be lost.', 'Check the disk, then use "copse disk accept-loss".'],
  ERR_DISK_BROKEN: ['internal', 'The files of the disk are damaged.', 'Restore them, or revert to a snapshot.'],
  ERR_FILES_GONE: ['conflict', 'The files of the disk were removed or replaced.', 'Restore the files and restart the daemon.'],
  ERR_BUSY: ['busy', 'Another change of the disk, or too many calls, are under way.', 'Repeat the operation.'],
  ERR_FENCED: ['internal', 'Another client displaced this client.', 'Use "copse disk take" to let it come back.'],
  ERR_NOT_OWNER: ['conflict', 'Another node owns the disk.', 'Ask the owner, or use "copse disk take" first.'],
  ERR_PEER_NOT_OWNER: ['notOwner', 'A node that served a disk to a peer owns it no more.', 'None is needed: the peer looks for the owner.'],
  ERR_OWNER_UNREACHABLE: ['conflict', 'The owner of the disk does not answer.', 'Restore the owner, or use "copse disk take --force".'],
  ERR_HANDOVER_EXPLICIT: ['conflict', 'The disk moves only when an operator says so.', 'Use "copse disk take" on the other node.'],
  ERR_NOT_YET: ['conflict', 'A node that has to confirm the owner has not answered.', 'Repeat the operation once the node answers.'],
  ERR_EPOCH: ['conflict', 'The epoch of the disk is at its limit.', 'Export the disk and import it under another name.'],
  ERR_REPLICA: ['remote', 'The target of a migration could not copy the disk ahead.', 'Read the reason and migrate again.'],
  ERR_BLOCKS_AWAY: ['remote', 'Blocks of the disk are on a node that does not answer.', 'Restore that node.'],
  ERR_NO_REMOTE: ['internal', 'The map of a disk names a node that its record does not list.', 'Report this as a fault of Copse.'],
} as const satisfies Record<string, ErrorEntry>;
