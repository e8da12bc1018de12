/** `ImageControl` over the admin API. */
import type { JobOptions } from '../base/job.js';
import type { ClientTransport } from './client-transport.js';
import type { ImageControl, WarmOptions } from './control-image.js';
import { imagePath } from './path.js';
import type { ImageAddRequest, ImageStatus, SealResult, VerifyResult, WarmResult } from './schema-image.js';

export class ImageClient implements ImageControl {
  readonly #transport: ClientTransport;

  constructor(transport: ClientTransport) {
    this.#transport = transport;
  }

  list(): Promise<ImageStatus[]> {
    return this.#transport.json({ method: 'GET', path: '/v1/images' });
  }

  status(name: string): Promise<ImageStatus> {
    return this.#transport.json({ method: 'GET', path: imagePath(name) });
  }

  add({ name, ...body }: ImageAddRequest): Promise<ImageStatus> {
    return this.#transport.json({ method: 'PUT', path: imagePath(name), body });
  }

  rename(name: string, newName: string): Promise<ImageStatus> {
    return this.#transport.json({ method: 'POST', path: `${imagePath(name)}/rename`, body: { name: newName } });
  }

  async remove(name: string): Promise<void> {
    await this.#transport.text({ method: 'DELETE', path: imagePath(name) });
  }

  repin(name: string): Promise<ImageStatus> {
    return this.#transport.json({ method: 'POST', path: `${imagePath(name)}/repin` });
  }

  warm(name: string, { cluster, ...options }: WarmOptions): Promise<WarmResult> {
    return this.#transport.job(`warm ${name}`, `${imagePath(name)}/warm${cluster ? '?cluster=true' : ''}`, options);
  }

  verify(name: string, options: JobOptions): Promise<VerifyResult> {
    return this.#transport.job(`verify ${name}`, `${imagePath(name)}/verify`, options);
  }

  seal(name: string, options: JobOptions): Promise<SealResult> {
    return this.#transport.job(`seal ${name}`, `${imagePath(name)}/seal`, options);
  }
}
