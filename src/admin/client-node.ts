/** `NodeControl` over the admin API. */
import type { JobOptions } from '../base/job.js';
import type { ClientTransport } from './client-transport.js';
import type { NodeControl } from './control-node.js';
import { imagePath } from './path.js';
import type { DaemonStatus, DrainResult, Explanation } from './schema-node.js';

export class NodeClient implements NodeControl {
  readonly #transport: ClientTransport;

  constructor(transport: ClientTransport) {
    this.#transport = transport;
  }

  status(): Promise<DaemonStatus> {
    return this.#transport.json({ method: 'GET', path: '/v1/status' });
  }

  metrics(): Promise<string> {
    return this.#transport.text({ method: 'GET', path: '/metrics' });
  }

  explain(exportName: string): Promise<Explanation> {
    return this.#transport.json({ method: 'GET', path: `${imagePath(exportName)}/explain` });
  }

  drain(options: JobOptions): Promise<DrainResult> {
    return this.#transport.job('drain', '/v1/node/drain', options);
  }

  async undrain(): Promise<void> {
    await this.#transport.text({ method: 'DELETE', path: '/v1/node/drain' });
  }
}
