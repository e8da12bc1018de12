/** A daemon of this or another process as a `Control`, over the admin API. Errors: see `client-transport.ts`. */
import type { JobOptions } from '../base/job.js';
import type { Closeable } from '../base/lifecycle.js';
import type { Secret } from '../base/secret.js';
import type { SocketAddress } from '../config/address.js';
import { DiskClient } from './client-disk.js';
import { ClientTransport } from './client-transport.js';
import type {
  ClusterImageStatus,
  ClusterMoveResult,
  ClusterStatus,
  Control,
  DaemonStatus,
  DrainResult,
  Explanation,
  ImageAddRequest,
  ImageStatus,
  SealResult,
  VerifyResult,
  WarmOptions,
  WarmResult,
} from './control.js';

export class AdminClient extends DiskClient implements Control, Closeable {
  readonly #transport: ClientTransport;

  /** @param token for an address on TCP */
  constructor(address: SocketAddress, token?: Secret) {
    const transport = new ClientTransport(address, token);
    super(transport);
    this.#transport = transport;
  }

  status(): Promise<DaemonStatus> {
    return this.#transport.json({ method: 'GET', path: '/v1/status' });
  }

  listImages(): Promise<ImageStatus[]> {
    return this.#transport.json({ method: 'GET', path: '/v1/images' });
  }

  imageStatus(name: string): Promise<ImageStatus> {
    return this.#transport.json({ method: 'GET', path: imagePath(name) });
  }

  addImage({ name, ...body }: ImageAddRequest): Promise<ImageStatus> {
    return this.#transport.json({ method: 'PUT', path: imagePath(name), body });
  }

  renameImage(name: string, newName: string): Promise<ImageStatus> {
    return this.#transport.json({ method: 'POST', path: `${imagePath(name)}/rename`, body: { name: newName } });
  }

  async removeImage(name: string): Promise<void> {
    await this.#transport.text({ method: 'DELETE', path: imagePath(name) });
  }

  repinImage(name: string): Promise<ImageStatus> {
    return this.#transport.json({ method: 'POST', path: `${imagePath(name)}/repin` });
  }

  warmImage(name: string, { cluster, ...options }: WarmOptions): Promise<WarmResult> {
    return this.#transport.job(`warm ${name}`, `${imagePath(name)}/warm${cluster ? '?cluster=true' : ''}`, options);
  }

  verifyImage(name: string, options: JobOptions): Promise<VerifyResult> {
    return this.#transport.job(`verify ${name}`, `${imagePath(name)}/verify`, options);
  }

  sealImage(name: string, options: JobOptions): Promise<SealResult> {
    return this.#transport.job(`seal ${name}`, `${imagePath(name)}/seal`, options);
  }

  explain(exportName: string): Promise<Explanation> {
    return this.#transport.json({ method: 'GET', path: `${imagePath(exportName)}/explain` });
  }

  clusterStatus(): Promise<ClusterStatus> {
    return this.#transport.json({ method: 'GET', path: '/v1/cluster' });
  }

  moveCluster(name: string): Promise<ClusterMoveResult> {
    return this.#transport.json({ method: 'POST', path: '/v1/cluster/move', body: { name } });
  }

  clusterImageStatus(name: string): Promise<ClusterImageStatus> {
    return this.#transport.json({ method: 'GET', path: `${imagePath(name)}/cluster` });
  }

  drainNode(options: JobOptions): Promise<DrainResult> {
    return this.#transport.job('drain', '/v1/node/drain', options);
  }

  async undrainNode(): Promise<void> {
    await this.#transport.text({ method: 'DELETE', path: '/v1/node/drain' });
  }

  metrics(): Promise<string> {
    return this.#transport.text({ method: 'GET', path: '/metrics' });
  }

  async close(): Promise<void> {
    await this.#transport.close();
  }
}

function imagePath(name: string): string {
  return `/v1/images/${encodeURIComponent(name)}`;
}
