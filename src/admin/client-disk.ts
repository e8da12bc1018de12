/** `DiskControl` over the admin API. */
import type { JobOptions, Progress } from '../base/job.js';
import type { ClientTransport } from './client-transport.js';
import type { DiskControl, PromoteOptions } from './control-disk.js';
import { diskPath, snapshotPath } from './path.js';
import type {
  DiskAcceptLossOptions,
  DiskCreateRequest,
  DiskStatus,
  DiskTakeOptions,
  DiskTakeResult,
  MigrateResult,
  PromoteResult,
} from './schema-disk.js';

export class DiskClient implements DiskControl {
  readonly #transport: ClientTransport;

  constructor(transport: ClientTransport) {
    this.#transport = transport;
  }

  create({ name, ...body }: DiskCreateRequest): Promise<DiskStatus> {
    return this.#transport.json({ method: 'PUT', path: diskPath(name), body });
  }

  list(): Promise<DiskStatus[]> {
    return this.#transport.json({ method: 'GET', path: '/v1/disks' });
  }

  status(name: string): Promise<DiskStatus> {
    return this.#transport.json({ method: 'GET', path: diskPath(name) });
  }

  resize(name: string, sizeBytes: number): Promise<DiskStatus> {
    return this.#transport.json({ method: 'POST', path: `${diskPath(name)}/resize`, body: { sizeBytes } });
  }

  rename(name: string, newName: string): Promise<DiskStatus> {
    return this.#transport.json({ method: 'POST', path: `${diskPath(name)}/rename`, body: { name: newName } });
  }

  async remove(name: string): Promise<void> {
    await this.#transport.text({ method: 'DELETE', path: diskPath(name) });
  }

  snapshot(name: string, snapshot: string, options: JobOptions): Promise<Progress> {
    return this.#transport.job(`snapshot ${name}`, snapshotPath(name, snapshot), options);
  }

  revert(name: string, snapshot: string, options: JobOptions): Promise<Progress> {
    return this.#transport.job(`revert ${name}`, `${snapshotPath(name, snapshot)}/revert`, options);
  }

  removeSnapshot(name: string, snapshot: string): Promise<DiskStatus> {
    return this.#transport.json({ method: 'DELETE', path: snapshotPath(name, snapshot) });
  }

  promote(name: string, image: string, { path, ...options }: PromoteOptions): Promise<PromoteResult> {
    return this.#transport.job(`promote ${name}`, `${diskPath(name)}/promote`, options, { image, path });
  }

  take(name: string, options: DiskTakeOptions): Promise<DiskTakeResult> {
    return this.#transport.json({ method: 'POST', path: `${diskPath(name)}/take`, body: options });
  }

  acceptLoss(name: string, options: DiskAcceptLossOptions): Promise<DiskStatus> {
    return this.#transport.json({ method: 'POST', path: `${diskPath(name)}/accept-loss`, body: options });
  }

  migrate(name: string, to: string, options: JobOptions): Promise<MigrateResult> {
    return this.#transport.job(`migrate ${name}`, `${diskPath(name)}/migrate`, options, { to });
  }
}
