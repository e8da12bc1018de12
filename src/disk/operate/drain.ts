/**
 * Moving a node's disks away, for a drain: each to the neighbour that has the most room.
 *
 * Invariant: a disk counts as moved when its new owner has all of its blocks, and the copy here is gone.
 */

import type { Clock } from '../../base/clock.js';
import { errorMessage } from '../../base/error.js';
import type { JobOptions } from '../../base/job.js';
import type { Logger } from '../../base/log.js';
import { pause } from '../../base/pause.js';
import type { MemberView } from '../../cluster/health/member-view.js';
import type { DiskExport } from '../owner/disk-export.js';

/** This node's disks as a drain needs them. */
export interface DrainedDisks {
  /** All that have files here. */
  readonly here: readonly DiskExport[];
  readonly owned: readonly DiskExport[];
  migrate(name: string, nodeId: string, options: JobOptions): Promise<{ handedOver: boolean; message: string }>;
}

export interface DiskDrainOptions extends JobOptions {
  disks: DrainedDisks;
  members(): MemberView[];
  clock: Clock;
  log: Logger;
}

export interface DiskDrainResult {
  movedCount: number;
  /** Names of those that are still here, wholly or in part, and why. */
  left: { name: string; reason: string }[];
}

const pollMs = 200;
/** How long the rest of a disk may take after its handover without a block arriving anywhere. */
const patienceMs = 60_000;

export async function drainDisks(options: DiskDrainOptions): Promise<DiskDrainResult> {
  const { disks, signal, onProgress, log, members } = options;
  const left: DiskDrainResult['left'] = [];
  const moving: DiskExport[] = [];
  for (const disk of disks.owned) {
    if (signal.aborted) break;
    const { name } = disk.record;
    const target = roomiest(members());
    if (target === undefined) {
      left.push({ name, reason: 'no other node that is not draining answers' });
      continue;
    }
    try {
      const { handedOver, message } = await disks.migrate(name, target, { signal, onProgress });
      if (handedOver) moving.push(disk);
      else left.push({ name, reason: message });
    } catch (error) {
      log.warn({ disk: name, to: target, reason: errorMessage(error) }, 'the disk could not be moved away');
      left.push({ name, reason: errorMessage(error) });
    }
  }
  for (const disk of moving) {
    const reason = await gone(disk, options);
    if (reason !== undefined) left.push({ name: disk.record.name, reason });
  }
  // What was handed over earlier, and is still needed from here.
  for (const { record, hosted, isOwner } of disks.here) {
    if (hosted === undefined || isOwner || left.some(({ name }) => name === record.name)) continue;
    if (hosted.state.state === 'granted')
      left.push({ name: record.name, reason: `node ${hosted.state.to?.id} still needs blocks of it from here` });
  }
  return { movedCount: moving.length - left.filter(({ name }) => moving.some(({ record }) => record.name === name)).length, left };
}

/** Waits until the new owner has released the copy here; answers why not. */
async function gone(disk: DiskExport, { clock, signal }: DiskDrainOptions): Promise<string | undefined> {
  const untilMs = clock.nowMs() + patienceMs;
  while (disk.hosted !== undefined) {
    if (signal.aborted || clock.nowMs() > untilMs) return `node ${disk.hosted.state.to?.id} owns it, and has not fetched all of it yet`;
    if (disk.hosted.folder.snapshots().length > 0) return 'its snapshots stay on this node: remove them, or export them first';
    await pause(clock, pollMs);
  }
  return undefined;
}

function roomiest(members: MemberView[]): string | undefined {
  const room = ({ donatedBytes = 0, usedBytes = 0 }: MemberView): number => donatedBytes - usedBytes;
  const up = members.filter(({ state }) => state === 'up').sort((left, right) => room(right) - room(left));
  return up[0]?.id;
}
