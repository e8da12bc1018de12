/** Moving a disk by an operator's word: its overlay is copied ahead while the guest runs, and handed over at once where nobody is attached. */

import type { MigrateResult } from '../../admin/schema-disk.js';
import type { Clock } from '../../base/clock.js';
import { AbortedError, CopseError } from '../../base/error.js';
import type { JobOptions } from '../../base/job.js';
import { pause } from '../../base/pause.js';
import { formatSize } from '../../base/size.js';
import type { DiskExport } from '../owner/disk-export.js';
import type { NodeRef } from '../protocol/record.js';
import type { RemoteNodes } from '../protocol/remote-nodes.js';

export interface MigrateOptions extends JobOptions {
  peers: RemoteNodes;
  clock: Clock;
}

const pollMs = 100;

/** @throws CopseError `ERR_NOT_OWNER`, `ERR_REPLICA` when the copy failed; the far node's errors */
export async function migrate(disk: DiskExport, to: NodeRef, { peers, clock, signal, onProgress }: MigrateOptions): Promise<MigrateResult> {
  const { hosted, record } = disk;
  if (hosted === undefined || !disk.isOwner)
    throw new CopseError('ERR_NOT_OWNER', `disk "${record.name}" is not owned by this node: migrate it from its owner`);
  const { epoch, nodes } = hosted.state;
  const { id: copy } = hosted.markFor(to.id);
  await peers.call(to, 'disk.receive', { record, epoch, from: peers.self, copy, nodes, touched: hosted.base?.touched() ?? [] });
  let progress = { doneBytes: 0, totalBytes: hosted.overlay.dataBytes };
  onProgress(progress);
  for (;;) {
    const copy = await peers.call(to, 'disk.replica', { uuid: record.uuid });
    progress = { doneBytes: copy.doneBytes, totalBytes: copy.totalBytes };
    onProgress(progress);
    if (copy.state === 'following') break;
    if (copy.state !== 'copying') {
      throw new CopseError(
        'ERR_REPLICA',
        `disk "${record.name}": node ${to.id} could not copy it ahead: ${copy.message ?? 'it knows nothing of it any more'}`,
      );
    }
    if (signal.aborted) throw new AbortedError(`migration of disk ${record.name}`);
    await pause(clock, pollMs);
  }
  if (disk.hosted !== hosted || !disk.isOwner)
    throw new CopseError(
      'ERR_NOT_OWNER',
      `disk "${record.name}" has moved, or its files were replaced, while it was copied: migrate it from its owner`,
    );
  const rest = `${formatSize(hosted.overlay.changedBytes)} are still to come`;
  if (disk.attachment.count > 0) {
    const message = `the copy on node ${to.id} follows, ${rest}: now migrate the VM; its first write there takes the disk over`;
    return { ...progress, handedOver: false, message };
  }
  const { owner } = await peers.call(to, 'disk.invite', { uuid: record.uuid, reason: 'migrate' });
  const message = owner ? `node ${to.id} owns it now` : `node ${to.id} did not take it: try "copse disk take ${record.name}" there`;
  return { ...progress, handedOver: owner, message };
}
