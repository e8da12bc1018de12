/** One live migration: a VM that writes is moved from one host to the other, and watched from both ends. */
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { CopseError } from '../../../src/base/error.js';
import { foreignErrorCode } from '../../../src/base/error-code.js';
import { Lifecycle } from '../../../src/base/lifecycle.js';
import type { MigrationContext, PreparedDisk, Way } from './context.js';
import { ramPort, Vm } from './lab/vm.js';

/** Records before the move, and after it: about a second each. */
const recordCount = 80;

export interface Migration {
  way: Way['name'];
  /** From the order to move until the VM runs at the destination. */
  runningMs: number;
  /** The same until it has written there. */
  writingMs: number;
  /** As QEMU says: the VM ran on neither host. */
  downtimeMs: number;
  /**
   * From when it runs at the destination until it has written there and been told so: its second record, since the first one it tells of there may
   * have been written at the source.
   */
  firstWriteMs: number;
  /** The longest time between two records from shortly before the move until shortly after. */
  pauseMs: number;
  /** Those records, before and after it ran at the destination, by milliseconds from then. */
  nearMs: number[];
  /** Memory that QEMU moved. */
  ramBytes: number;
  /** Of storage, between the hosts: when the VM ran at the destination, when it had written there, and in all. */
  movedWhenRunningBytes: number;
  movedWhenWritingBytes: number;
  movedBytes: number;
  /** From the order to move until the source's host was of no more use. */
  completedMs: number;
  /** What the guest or the comparison afterwards found wrong. */
  wrong: string[];
}

interface MigrationStatus {
  status: string;
  downtime?: number;
  ram?: { transferred: number };
  'error-desc'?: string;
}

export async function migrate(context: MigrationContext, way: Way): Promise<Migration> {
  const running = new Lifecycle();
  try {
    const disk = running.own(await way.prepare());
    return await moveOnce(context, way, disk);
  } finally {
    await running.close();
  }
}

async function moveOnce(context: MigrationContext, way: Way, disk: PreparedDisk): Promise<Migration> {
  const { guest, workDir } = context;
  const vms = new Lifecycle();
  try {
    const dir = await mkdtemp(join(workDir, 'v'));
    const to = await Vm.start({ place: context.destination, guest, dir, name: 'to', disk: disk.atDestination, isIncoming: true });
    vms.own(to);
    const from = await Vm.start({ place: context.source, guest, dir, name: 'from', disk: disk.atSource, isIncoming: false });
    vms.own(from);
    await from.records.count(recordCount);
    const beganMs = nowMs();
    const order = moveVm(context, disk, from, to);
    order.catch(() => undefined); // it is awaited below
    const resumed = await Promise.race([to.monitor.event('RESUME'), order.then(() => to.monitor.event('RESUME'))]);
    const movedWhenRunningBytes = await disk.movedBytes();
    await to.records.count(2);
    const movedWhenWritingBytes = await disk.movedBytes();
    const status = await order;
    await from.close();
    await to.records.count(recordCount);
    await disk.completed();
    const completedMs = nowMs() - beganMs;
    const wrong = [...from.records.bad, ...to.records.bad];
    const movedBytes = await disk.movedBytes();
    await to.close();
    const damage = await disk.damage();
    if (damage !== undefined) wrong.push(damage);
    const wroteMs = to.records.written[1]?.atMs ?? Number.NaN;
    const times = [...from.records.written.slice(-10), ...to.records.written.slice(0, 10)].map(({ atMs }) => atMs);
    return {
      way: way.name,
      runningMs: resumed.atMs - beganMs,
      writingMs: wroteMs - beganMs,
      downtimeMs: status.downtime ?? Number.NaN,
      firstWriteMs: wroteMs - resumed.atMs,
      pauseMs: Math.max(...times.slice(1).map((atMs, index) => atMs - (times[index] ?? atMs))),
      nearMs: times.map((atMs) => Math.round(atMs - resumed.atMs)),
      ramBytes: status.ram?.transferred ?? Number.NaN,
      movedWhenRunningBytes,
      movedWhenWritingBytes,
      movedBytes,
      completedMs,
      wrong,
    };
  } finally {
    await vms.close();
  }
}

/** As QEMU's events and the records are timed. */
function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

/** @returns what QEMU says of it once it is done. @throws CopseError `ERR_QEMU` when the VM was not moved */
async function moveVm({ destination }: MigrationContext, disk: PreparedDisk, from: Vm, to: Vm): Promise<MigrationStatus> {
  const { atSwitchover, beforeMigration } = disk;
  await beforeMigration?.(from, to);
  const capabilities = [{ capability: 'events', state: true }];
  if (atSwitchover !== undefined) capabilities.push({ capability: 'pause-before-switchover', state: true });
  await from.monitor.execute('migrate-set-capabilities', { capabilities });
  await from.monitor.execute('migrate', { uri: `tcp:${destination.address}:${ramPort}` });
  if (atSwitchover !== undefined) {
    await from.monitor.event('MIGRATION', ({ status }) => status === 'pre-switchover' || status === 'failed');
    await atSwitchover(from, to);
    await from.monitor.execute('migrate-continue', { state: 'pre-switchover' });
  }
  await from.monitor.event('MIGRATION', ({ status }) => status === 'completed' || status === 'failed');
  const status = await from.monitor.execute<MigrationStatus>('query-migrate');
  if (status.status !== 'completed') throw new CopseError(foreignErrorCode('ERR_QEMU'), `the VM was not moved: ${JSON.stringify(status)}`);
  return status;
}
