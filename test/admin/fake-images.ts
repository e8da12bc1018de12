/** The images of a scripted `Control`, in memory. */
import type {
  ImageAddRequest,
  ImageControl,
  ImageStatus,
  SealResult,
  VerifyResult,
  WarmOptions,
  WarmResult,
} from '../../src/admin/control.js';
import { CopseError } from '../../src/base/error.js';
import type { JobOptions, Progress } from '../../src/base/job.js';
import { GiB, KiB, MiB } from '../../src/base/size.js';
import type { FakeJobs } from './fake-job.js';

export class FakeImages implements ImageControl {
  readonly known = new Map<string, ImageStatus>();
  readonly added: ImageAddRequest[] = [];
  /** The option of the last `warm`. */
  warmedCluster: boolean | undefined;
  readonly #jobs: FakeJobs;

  constructor(jobs: FakeJobs) {
    this.#jobs = jobs;
  }

  async list(): Promise<ImageStatus[]> {
    this.#jobs.check();
    return [...this.known.values()];
  }

  async status(name: string): Promise<ImageStatus> {
    this.#jobs.check();
    const image = this.known.get(name);
    if (image === undefined) throw new CopseError('ERR_NO_SUCH_IMAGE', `there is no image ${name}`);
    return image;
  }

  async add(request: ImageAddRequest): Promise<ImageStatus> {
    this.#jobs.check();
    this.added.push(request);
    const existing = this.known.get(request.name);
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
    this.known.set(request.name, image);
    return image;
  }

  async remove(name: string): Promise<void> {
    const image = await this.status(name);
    if (image.connections > 0) throw new CopseError('ERR_IMAGE_IN_USE', `image ${name} is in use by ${image.connections} clients`);
    this.known.delete(name);
  }

  async rename(name: string, newName: string): Promise<ImageStatus> {
    const renamed = { ...(await this.status(name)), name: newName };
    this.known.delete(name);
    this.known.set(newName, renamed);
    return renamed;
  }

  async repin(name: string): Promise<ImageStatus> {
    return this.status(name);
  }

  async warm(name: string, { cluster, ...options }: WarmOptions): Promise<WarmResult> {
    this.warmedCluster = cluster;
    return { ...(await this.#job(name, options)), fetchedBytes: 768 * MiB };
  }

  async verify(name: string, options: JobOptions): Promise<VerifyResult> {
    return { ...(await this.#job(name, options)), droppedBytes: 0 };
  }

  async seal(name: string, options: JobOptions): Promise<SealResult> {
    return { ...(await this.#job(name, options)), manifestPath: `/var/lib/copse/${name}.manifest`, digest: `blake3:${'ab'.repeat(32)}` };
  }

  async #job(name: string, options: JobOptions): Promise<Progress> {
    const { sizeBytes } = await this.status(name);
    return this.#jobs.run(`job of image ${name}`, sizeBytes, options);
  }
}
