/** What `Control` says of disks, asked of a daemon over the admin API. */
import type { JobOptions, Progress } from '../base/job.js';
import type { ClientTransport } from './client-transport.js';
import type { DiskControl, DiskCreateRequest, DiskStatus, DiskTakeResult, MigrateResult, PromoteResult } from './control-disk.js';

export class DiskClient implements DiskControl {
  readonly #transport: ClientTransport;

  constructor(transport: ClientTransport) {
    this.#transport = transport;
  }

  createDisk({ name, ...body }: DiskCreateRequest): Promise<DiskStatus> {
    return this.#transport.json({ method: 'PUT', path: diskPath(name), body });
  }

  listDisks(): Promise<DiskStatus[]> {
    return this.#transport.json({ method: 'GET', path: '/v1/disks' });
  }

  diskStatus(name: string): Promise<DiskStatus> {
    return this.#transport.json({ method: 'GET', path: diskPath(name) });
  }

  resizeDisk(name: string, sizeBytes: number): Promise<DiskStatus> {
    return this.#transport.json({ method: 'POST', path: `${diskPath(name)}/resize`, body: { sizeBytes } });
  }

  renameDisk(name: string, newName: string): Promise<DiskStatus> {
    return this.#transport.json({ method: 'POST', path: `${diskPath(name)}/rename`, body: { name: newName } });
  }

  async removeDisk(name: string): Promise<void> {
    await this.#transport.text({ method: 'DELETE', path: diskPath(name) });
  }

  snapshotDisk(name: string, snapshot: string, options: JobOptions): Promise<Progress> {
    return this.#transport.job(`snapshot ${name}`, snapshotPath(name, snapshot), options);
  }

  revertDisk(name: string, snapshot: string, options: JobOptions): Promise<Progress> {
    return this.#transport.job(`revert ${name}`, `${snapshotPath(name, snapshot)}/revert`, options);
  }

  removeSnapshot(name: string, snapshot: string): Promise<DiskStatus> {
    return this.#transport.json({ method: 'DELETE', path: snapshotPath(name, snapshot) });
  }

  promoteDisk(name: string, image: string, { path, ...options }: JobOptions & { path?: string | undefined }): Promise<PromoteResult> {
    return this.#transport.job(`promote ${name}`, `${diskPath(name)}/promote`, options, { image, path });
  }

  takeDisk(name: string, options: { force?: boolean | undefined; acceptLoss?: boolean | undefined }): Promise<DiskTakeResult> {
    return this.#transport.json({ method: 'POST', path: `${diskPath(name)}/take`, body: options });
  }

  acceptDiskLoss(name: string, options: { confirmed?: boolean | undefined }): Promise<DiskStatus> {
    return this.#transport.json({ method: 'POST', path: `${diskPath(name)}/accept-loss`, body: options });
  }

  migrateDisk(name: string, to: string, options: JobOptions): Promise<MigrateResult> {
    return this.#transport.job(`migrate ${name}`, `${diskPath(name)}/migrate`, options, { to });
  }
}

function diskPath(name: string): string {
  return `/v1/disks/${encodeURIComponent(name)}`;
}

function snapshotPath(name: string, snapshot: string): string {
  return `${diskPath(name)}/snapshots/${encodeURIComponent(snapshot)}`;
}
