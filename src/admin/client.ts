/**
 * A daemon of this or another process as a `Control`, over the admin API. For errors see
 * `client-transport.ts`.
 */
import type { Closeable } from '../base/lifecycle.js';
import type { Secret } from '../base/secret.js';
import type { SocketAddress } from '../config/address.js';
import { ClusterClient } from './client-cluster.js';
import { DiskClient } from './client-disk.js';
import { ImageClient } from './client-image.js';
import { NodeClient } from './client-node.js';
import { ClientTransport } from './client-transport.js';
import type { Control } from './control.js';
import type { ClusterControl } from './control-cluster.js';
import type { DiskControl } from './control-disk.js';
import type { ImageControl } from './control-image.js';
import type { NodeControl } from './control-node.js';

export class AdminClient implements Control, Closeable {
  readonly node: NodeControl;
  readonly images: ImageControl;
  readonly disks: DiskControl;
  readonly cluster: ClusterControl;
  readonly #transport: ClientTransport;

  /** @param token for an address on TCP */
  constructor(address: SocketAddress, token?: Secret) {
    this.#transport = new ClientTransport(address, token);
    this.node = new NodeClient(this.#transport);
    this.images = new ImageClient(this.#transport);
    this.disks = new DiskClient(this.#transport);
    this.cluster = new ClusterClient(this.#transport);
  }

  async close(): Promise<void> {
    await this.#transport.close();
  }
}
