/**
 * Disks that were taken by force under version 0.1.0, which kept no record of it.
 *
 * Such an owner can't prove its epoch to the owner that it deposed. Epochs grow by one with a
 * handover, and by a thousand with a force: an owner so far on, without a record and without a
 * grant, writes the record itself when its folder is opened.
 */

import type { NodeRef } from '../protocol/record.js';
import type { DiskFolder } from './folder.js';

/** So far an epoch jumps by force. */
const forcedEpochs = 1000;

/** Durable when it returns. */
export function recordEarlierForce(folder: DiskFolder, self: NodeRef | undefined): void {
  const { state, epoch, forced, by } = folder.state;
  if (self === undefined || state !== 'owner' || forced !== undefined || by !== undefined || epoch <= forcedEpochs) return;
  const node = { id: self.id, address: self.address };
  folder.setState({ ...folder.state, forced: { from: epoch - forcedEpochs, to: epoch, node, at: new Date().toISOString() } });
}
