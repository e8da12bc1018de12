/** Errors of the machine's refusals, as clients, operators and other nodes are told them. */
import { ClosedError, CopseError } from '../../base/error.js';
import { type DiskLoss, lossError } from '../folder/loss.js';
import type { DiskRecord } from '../protocol/record.js';
import type { Facts, Refusal, Work } from './state.js';

export interface Refused {
  record: DiskRecord;
  file: Facts['file'];
  loss: DiskLoss | undefined;
  work: Work;
}

/** Error for one refusal. */
export function refusalError(why: Refusal, { record, file, loss, work }: Refused): Error {
  const { name } = record;
  const claimant = `node ${work.node?.id} says that it owns disk ${record.uuid} under epoch ${work.epoch}`;
  switch (why) {
    case 'owner':
      return new CopseError('ERR_NOT_OWNER', `disk "${name}" is owned by the node that was to receive it`);
    case 'explicit':
      return new CopseError(
        'ERR_HANDOVER_EXPLICIT',
        `disk "${name}" is handed over by an operator's word alone: "copse disk take ${name}" on node ${work.node?.id}`,
      );
    case 'closed':
      return new ClosedError(`disk "${name}"`);
    case 'lossy':
      return loss === undefined ? notOwner(record, file) : lossError(name, loss);
    case 'old epoch':
      return new CopseError(
        'ERR_NOT_OWNER',
        `disk "${name}": it was handed over under epoch ${work.epoch}, and this node had it under ${file?.epoch} already`,
      );
    case 'promised':
      return new CopseError('ERR_NOT_OWNER', `disk "${name}": this node has promised not to accept epoch ${work.epoch}; ask for it again`);
    case 'stale release':
      return new CopseError('ERR_NOT_OWNER', `disk "${name}": a release under epoch ${work.epoch} does not count here any more`);
    case 'no epoch':
      return new CopseError('ERR_EPOCH', `disk "${name}" is said to be at an epoch which leaves no epoch for a force: no node can take it`);
    case 'not open':
      return new CopseError('ERR_BUSY', `disk "${name}": this node has files of it that are not open just now: ask again`);
    case 'disproven':
      return new CopseError('ERR_NOT_OWNER', `disk.release: ${claimant}, and no grant led there`);
    case 'unknown':
      return new CopseError('ERR_NOT_YET', `disk.release: ${claimant}, and a node that has to confirm it does not answer: ask again`);
    default:
      return notOwner(record, file);
  }
}

function notOwner({ name }: DiskRecord, file: Facts['file']): CopseError {
  const to = file?.to;
  const where = to === undefined ? 'does not own it' : `handed it to node ${to.id}`;
  return new CopseError('ERR_NOT_OWNER', `disk "${name}": this node ${where}`);
}
