/** A `Control` in memory, whose jobs and errors the test decides. */

import type { Control, DaemonStatus, ImageAddRequest, ImageStatus, JobOptions, VerifyResult, WarmResult } from '../../src/admin/control.js';
import { AbortedError, CopseError } from '../../src/base/error.js';
import { GiB, KiB, MiB } from '../../src/base/size.js';

export const daemonStatus: DaemonStatus = {
  version: '0.1.0',
  pid: 4711,
  uptimeSeconds: 93_784.5,
  stateDir: '/var/lib/copse',
  listeners: ['nbd+unix:///?socket=/run/copse/nbd.sock'],
  connections: 2,
  cache: { budgetBytes: 100 * GiB, minFreeBytes: 5 * GiB, usedBytes: 3 * GiB, freeBytes: 50 * GiB, state: 'ok' },
  imageCount: 1,
  residentBytes: 90 * MiB,
};

export class FakeControl implements Control {
  readonly images = new Map<string, ImageStatus>();
  readonly added: ImageAddRequest[] = [];
  /** Thrown by every call when set. */
  failure: unknown;
  /** Progress steps of a job before its end. */
  stepCount = 3;
  /** A job that stays under way until it is aborted. */
  hangs = false;
  /** Thrown by a job after its first progress. */
  jobFailure: unknown;
  /** Resolves when a job was aborted. */
  readonly aborted: Promise<void>;
  #onAborted = (): void => {};

  constructor() {
    this.aborted = new Promise((resolve) => {
      this.#onAborted = resolve;
    });
  }

  async status(): Promise<DaemonStatus> {
    this.#check();
    return { ...daemonStatus, imageCount: this.images.size };
  }

  async listImages(): Promise<ImageStatus[]> {
    this.#check();
    return [...this.images.values()];
  }

  async imageStatus(name: string): Promise<ImageStatus> {
    this.#check();
    const image = this.images.get(name);
    if (image === undefined) throw new CopseError('ERR_NO_SUCH_IMAGE', `there is no image ${name}`);
    return image;
  }

  async addImage(request: ImageAddRequest): Promise<ImageStatus> {
    this.#check();
    this.added.push(request);
    const existing = this.images.get(request.name);
    if (existing !== undefined && existing.url !== request.url) throw new CopseError('ERR_IMAGE_EXISTS', `image ${request.name} exists`);
    const image: ImageStatus = {
      name: request.name,
      url: request.url,
      format: request.format ?? 'raw',
      sizeBytes: GiB,
      chunkSizeBytes: request.chunkSizeBytes ?? 256 * KiB,
      deadlineMs: request.deadlineMs ?? 30_000,
      identity: { kind: 'http', sizeBytes: GiB, etag: '"e1"' },
      pinnedAt: '2026-11-22T15:00:00.000Z',
      origin: { health: 'ok' },
      cache: { cachedBytes: 256 * MiB, dataBytes: 200 * MiB, unverifiedBytes: 0 },
      connections: 0,
    };
    this.images.set(request.name, image);
    return image;
  }

  async removeImage(name: string): Promise<void> {
    const image = await this.imageStatus(name);
    if (image.connections > 0) throw new CopseError('ERR_IMAGE_IN_USE', `image ${name} is in use by ${image.connections} clients`);
    this.images.delete(name);
  }

  async repinImage(name: string): Promise<ImageStatus> {
    return this.imageStatus(name);
  }

  async warmImage(name: string, options: JobOptions): Promise<WarmResult> {
    return { ...(await this.#job(name, options)), fetchedBytes: 768 * MiB };
  }

  async verifyImage(name: string, options: JobOptions): Promise<VerifyResult> {
    return { ...(await this.#job(name, options)), droppedBytes: 0 };
  }

  async metrics(): Promise<string> {
    this.#check();
    return '# TYPE copse_connections gauge\ncopse_connections 2\n';
  }

  #check(): void {
    if (this.failure !== undefined) throw this.failure;
  }

  async #job(name: string, { signal, onProgress }: JobOptions): Promise<{ doneBytes: number; totalBytes: number }> {
    const { sizeBytes: totalBytes } = await this.imageStatus(name);
    onProgress({ doneBytes: 0, totalBytes });
    if (this.jobFailure !== undefined) throw this.jobFailure;
    if (this.hangs) {
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      this.#onAborted();
      throw new AbortedError(`job of image ${name}`);
    }
    for (let step = 1; step <= this.stepCount; step += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      onProgress({ doneBytes: (totalBytes / this.stepCount) * step, totalBytes });
    }
    return { doneBytes: totalBytes, totalBytes };
  }
}
