/** Lines of the log for what has become of a disk's ownership. */
import type { Logger } from '../../base/log.js';
import type { HostedDisk } from '../hosted/hosted-disk.js';
import type { DiskRecord } from '../protocol/record.js';
import type { Effect, Work } from './state.js';

export interface Report {
  record: DiskRecord;
  hosted: HostedDisk | undefined;
  work: Work;
  log: Logger;
  /** Time when the work was asked for, in ms. */
  sinceMs: number;
  nowMs: number;
}

export function reportEffect(event: Extract<Effect, { kind: 'report' }>['event'], { record, hosted, work, log, ...rest }: Report): void {
  const { name } = record;
  const { reason } = work;
  const epoch = hosted?.state.epoch;
  switch (event) {
    case 'granted':
      log.info({ disk: name, to: work.node?.id, epoch: (epoch ?? 0) + 1, reason }, 'handed over');
      return;
    case 'taken':
      log.info({ disk: name, from: work.node?.id, epoch, reason, ms: Math.round(rest.nowMs - rest.sinceMs) }, 'taken over');
      return;
    case 'undone':
      log.warn({ disk: name, epoch }, 'a handover was undone: the other node never had the disk');
      return;
    case 'kept':
      log.warn({ disk: name }, 'the disk has moved, its snapshots are kept here: "copse disk rm" removes them');
      return;
    case 'deposed':
      log.error(
        { disk: name, epoch, by: work.node?.id, theirs: work.epoch },
        'another node took this disk by force: this one is not served any more; its blocks stay until "copse disk rm" here',
      );
  }
}

/** Reason of a fence, as text for people. */
export function fenceText({ by, epoch }: Extract<Effect, { kind: 'fence' }>): string {
  return epoch === undefined ? `node ${by.id}, which took the disk by force` : `clients of node ${by.id}, which owns it now`;
}
