/** The disks of a scripted `Control`, in memory. */

import type {
  DiskControl,
  DiskCreateRequest,
  DiskStatus,
  DiskTakeOptions,
  DiskTakeResult,
  MigrateResult,
  PromoteOptions,
  PromoteResult,
} from '../../src/admin/control.js';
import { CopseError } from '../../src/base/error.js';
import type { JobOptions, Progress } from '../../src/base/job.js';
import { GiB, MiB } from '../../src/base/size.js';
import type { FakeJobs } from './fake-job.js';

/** A disk of which there is everything to tell. */
export const busyDisk: DiskStatus = {
  name: 'vm/1',
  uuid: '6f1c2f0a-2c0e-4f0b-9d1a-0b5f4a3c2d10',
  sizeBytes: 40 * GiB,
  image: 'debian/12',
  createdAt: '2026-11-22T15:00:00.000Z',
  place: 'owner',
  owner: 'host-a',
  epoch: 3,
  handover: 'auto',
  multiConn: false,
  connections: 1,
  remoteConnections: ['host-b'],
  overlay: { dataBytes: 3 * GiB, zeroBytes: 512 * MiB, allocatedBytes: 3.25 * GiB },
  toCome: [
    { node: 'host-c', bytes: GiB, reachable: true },
    { node: 'host-d', bytes: 64 * MiB, reachable: false },
  ],
  replica: { node: 'host-e', behindBytes: 20 * MiB },
  snapshots: [{ name: 'before-upgrade', createdAt: '2026-11-22T15:30:00.000Z', sizeBytes: 20 * GiB, dataBytes: 2 * GiB }],
  fences: [{ client: 'unix:4711:88', by: 'unix:4722:99 (qemu-system-x86)', at: '2026-11-22T16:00:00.000Z' }],
  message: 'blocks are still on host-d, which does not answer: reads of them fail until it is back',
};

/** A blank one that nobody uses. */
export const idleDisk: DiskStatus = {
  name: 'scratch',
  uuid: '0b7a9e64-5f63-4d3e-8a53-3f1f0c9d7e21',
  sizeBytes: GiB,
  createdAt: '2026-11-22T15:00:00.000Z',
  place: 'owner',
  owner: 'host-a',
  epoch: 1,
  handover: 'auto',
  multiConn: false,
  connections: 0,
  remoteConnections: [],
  overlay: { dataBytes: 0, zeroBytes: 0, allocatedBytes: 0 },
  toCome: [],
  snapshots: [],
  fences: [],
};

export class FakeDisks implements DiskControl {
  readonly known = new Map<string, DiskStatus>();
  /** Each call's method and arguments, without those of a job. */
  readonly calls: unknown[][] = [];
  /** Thrown by `remove`, once each, first come first. */
  readonly removeFailures: unknown[] = [];
  migrated: Pick<MigrateResult, 'handedOver' | 'message'> = { handedOver: true, message: 'host-b owns it now' };
  readonly #jobs: FakeJobs;

  constructor(jobs: FakeJobs) {
    this.#jobs = jobs;
  }

  async create(request: DiskCreateRequest): Promise<DiskStatus> {
    this.#note('create', request);
    const { name, image, sizeBytes = 20 * GiB, handover = 'auto', multiConn = false } = request;
    if (this.known.has(name)) throw new CopseError('ERR_DISK_EXISTS', `disk ${name} exists`);
    return this.#set({ ...idleDisk, name, sizeBytes, handover, multiConn, ...(image === undefined ? {} : { image }) });
  }

  async list(): Promise<DiskStatus[]> {
    this.#jobs.check();
    return [...this.known.values()];
  }

  async status(name: string): Promise<DiskStatus> {
    this.#jobs.check();
    const disk = this.known.get(name);
    if (disk === undefined) throw new CopseError('ERR_NO_SUCH_DISK', `there is no disk ${name}`);
    return disk;
  }

  async resize(name: string, sizeBytes: number): Promise<DiskStatus> {
    this.#note('resize', name, sizeBytes);
    return this.#set({ ...(await this.status(name)), sizeBytes });
  }

  async rename(name: string, newName: string): Promise<DiskStatus> {
    this.#note('rename', name, newName);
    const disk = await this.status(name);
    this.known.delete(name);
    return this.#set({ ...disk, name: newName });
  }

  async remove(name: string): Promise<void> {
    this.#note('remove', name);
    await this.status(name);
    const failure = this.removeFailures.shift();
    if (failure !== undefined) throw failure;
    this.known.delete(name);
  }

  async snapshot(name: string, snapshot: string, options: JobOptions): Promise<Progress> {
    this.#note('snapshot', name, snapshot);
    return this.#diskJob(name, options);
  }

  async revert(name: string, snapshot: string, options: JobOptions): Promise<Progress> {
    this.#note('revert', name, snapshot);
    return this.#diskJob(name, options);
  }

  async removeSnapshot(name: string, snapshot: string): Promise<DiskStatus> {
    this.#note('remove snapshot', name, snapshot);
    const disk = await this.status(name);
    return this.#set({ ...disk, snapshots: disk.snapshots.filter((known) => known.name !== snapshot) });
  }

  async promote(name: string, image: string, { path, ...job }: PromoteOptions): Promise<PromoteResult> {
    this.#note('promote', name, image, path);
    const progress = await this.#diskJob(name, job);
    const file = path ?? `/var/lib/copse/promoted/${image}.raw`;
    return { ...progress, image, path: file, manifestPath: `${file}.manifest`, digest: `blake3:${'cd'.repeat(32)}` };
  }

  async take(name: string, options: DiskTakeOptions): Promise<DiskTakeResult> {
    this.#note('take', name, options);
    const { message: _, ...disk } = await this.status(name);
    const taken = this.#set({ ...disk, place: 'owner', owner: 'host-a', epoch: disk.epoch + 1, fences: [] });
    return disk.place === 'owner' ? taken : { ...taken, from: disk.owner };
  }

  async acceptLoss(name: string, options: { confirmed?: boolean | undefined }): Promise<DiskStatus> {
    this.#note('accept-loss', name, options);
    const { loss: _, ...disk } = await this.status(name);
    if (_ !== undefined && options.confirmed !== true) throw new CopseError('ERR_DISK_LOSS', `disk "${name}" lost data`);
    return this.#set(disk);
  }

  async migrate(name: string, to: string, options: JobOptions): Promise<MigrateResult> {
    this.#note('migrate', name, to);
    return { ...(await this.#diskJob(name, options)), ...this.migrated };
  }

  #note(...call: unknown[]): void {
    this.#jobs.check();
    this.calls.push(call);
  }

  #set(disk: DiskStatus): DiskStatus {
    this.known.set(disk.name, disk);
    return disk;
  }

  async #diskJob(name: string, options: JobOptions): Promise<Progress> {
    const { overlay } = await this.status(name);
    return this.#jobs.run(`job of disk ${name}`, overlay?.dataBytes ?? 0, options);
  }
}
