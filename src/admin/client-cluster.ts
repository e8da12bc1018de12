/** `ClusterControl` over the admin API. */
import type { ClientTransport } from './client-transport.js';
import type { ClusterControl } from './control-cluster.js';
import { imagePath } from './path.js';
import type { ClusterImageStatus, ClusterMoveResult, ClusterStatus } from './schema-cluster.js';

export class ClusterClient implements ClusterControl {
  readonly #transport: ClientTransport;

  constructor(transport: ClientTransport) {
    this.#transport = transport;
  }

  status(): Promise<ClusterStatus> {
    return this.#transport.json({ method: 'GET', path: '/v1/cluster' });
  }

  move(name: string): Promise<ClusterMoveResult> {
    return this.#transport.json({ method: 'POST', path: '/v1/cluster/move', body: { name } });
  }

  imageStatus(name: string): Promise<ClusterImageStatus> {
    return this.#transport.json({ method: 'GET', path: `${imagePath(name)}/cluster` });
  }
}
