/** A `Control` in memory, whose jobs and errors the test decides. */

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
} from '../../src/admin/control.js';
import { CopseError } from '../../src/base/error.js';
import type { JobOptions, Progress } from '../../src/base/job.js';
import { GiB, KiB, MiB } from '../../src/base/size.js';
import { FakeDisks } from './fake-disks.js';

export const daemonStatus: DaemonStatus = {
  version: '0.1.0',
  pid: 4711,
  uptimeSeconds: 93_784.5,
  stateDir: '/var/lib/copse',
  listeners: ['nbd+unix:///?socket=/run/copse/nbd.sock'],
  adminListeners: ['unix:/var/lib/copse/admin.sock'],
  connections: 2,
  cache: { budgetBytes: 100 * GiB, minFreeBytes: 5 * GiB, usedBytes: 3 * GiB, freeBytes: 50 * GiB, state: 'ok' },
  fastPath: { enabled: true, connections: 1, reads: 10, coldReads: 2, writes: 0, handedUp: 3 },
  imageCount: 1,
  residentBytes: 90 * MiB,
  troubles: [],
  warnings: [],
};

export const clusterStatus: ClusterStatus = {
  enabled: true,
  node: { id: 'host-a', address: '10.0.0.1:10810', donatedBytes: 100 * GiB, draining: false },
  name: 'rack-1',
  reason: 'as configured',
  membership: { kind: 'static', well: true },
  cutOff: false,
  members: [
    {
      id: 'host-a',
      address: '10.0.0.1:10810',
      state: 'self',
      version: '0.1.0',
      donatedBytes: 100 * GiB,
      usedBytes: 25 * GiB,
      breaker: 'closed',
      setAside: [],
    },
    {
      id: 'host-b',
      address: '10.0.0.2:10810',
      state: 'up',
      version: '0.1.0',
      donatedBytes: 200 * GiB,
      usedBytes: 20 * GiB,
      rttUs: 184,
      breaker: 'half-open',
      setAside: [{ image: 'debian/12', reason: 'chunk 7 does not match the manifest', seconds: 200 }],
    },
    {
      id: '10.0.0.3:10810',
      address: '10.0.0.3:10810',
      state: 'down',
      message: 'connection refused: is copse running there?',
      breaker: 'open',
      setAside: [],
    },
  ],
};

export const clusterImageStatus: ClusterImageStatus = {
  name: 'debian/12',
  id: '0123456789abcdef0123456789abcdef',
  guard: 'etag',
  shared: true,
  chunkCount: 4096,
  heldChunks: 1024,
  copies: { least: 1, average: 1.5, greatest: 2 },
  touchedChunks: 1000,
  touchedHeldChunks: 1000,
  servableWithoutOrigin: 'touched',
  nodes: [
    { id: 'host-a', heldBytes: 128 * MiB, touched: 900 },
    { id: 'host-b', heldBytes: 256 * MiB },
  ],
};

export const explanation: Explanation = {
  name: 'debian/12',
  sources: {
    cache: { reads: 900, bytes: 20 * MiB, waitedMs: 12.5 },
    peer: { reads: 90, bytes: 9 * MiB, waitedMs: 180 },
    origin: { reads: 10, bytes: MiB, waitedMs: 2400 },
  },
  peers: [{ id: 'host-b', bytes: 9 * MiB, requests: 40, failures: 1, p50Ms: 1.25, p95Ms: 8 }],
  slowest: [{ offset: 256 * KiB, lengthBytes: 4096, source: 'origin', ms: 812.4 }],
  origin: { requests: 8, bytes: MiB, chunks: 5, uniqueChunks: 4, retries: 1 },
  text: ['93 % of the time that its reads waited, they waited for the origin.'],
};

export class FakeControl extends FakeDisks implements Control {
  readonly images = new Map<string, ImageStatus>();
  readonly added: ImageAddRequest[] = [];
  readonly movedTo: string[] = [];
  isDraining = false;
  /** The option of the last `warmImage`. */
  warmedCluster: boolean | undefined;
  cluster = clusterStatus;
  drained: Omit<DrainResult, 'doneBytes' | 'totalBytes'> = {
    handedOnBytes: 3 * GiB,
    lastCopiesLeft: 0,
    disksMoved: 0,
    disksLeft: [],
    safe: true,
    message: 'this host may be switched off',
  };

  async status(): Promise<DaemonStatus> {
    this.check();
    return { ...daemonStatus, imageCount: this.images.size };
  }

  async listImages(): Promise<ImageStatus[]> {
    this.check();
    return [...this.images.values()];
  }

  async imageStatus(name: string): Promise<ImageStatus> {
    this.check();
    const image = this.images.get(name);
    if (image === undefined) throw new CopseError('ERR_NO_SUCH_IMAGE', `there is no image ${name}`);
    return image;
  }

  async addImage(request: ImageAddRequest): Promise<ImageStatus> {
    this.check();
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

  async renameImage(name: string, newName: string): Promise<ImageStatus> {
    const renamed = { ...(await this.imageStatus(name)), name: newName };
    this.images.delete(name);
    this.images.set(newName, renamed);
    return renamed;
  }

  async repinImage(name: string): Promise<ImageStatus> {
    return this.imageStatus(name);
  }

  async warmImage(name: string, { cluster, ...options }: WarmOptions): Promise<WarmResult> {
    this.warmedCluster = cluster;
    return { ...(await this.#job(name, options)), fetchedBytes: 768 * MiB };
  }

  async verifyImage(name: string, options: JobOptions): Promise<VerifyResult> {
    return { ...(await this.#job(name, options)), droppedBytes: 0 };
  }

  async sealImage(name: string, options: JobOptions): Promise<SealResult> {
    return { ...(await this.#job(name, options)), manifestPath: `/var/lib/copse/${name}.manifest`, digest: `blake3:${'ab'.repeat(32)}` };
  }

  async explain(exportName: string): Promise<Explanation> {
    await this.imageStatus(exportName);
    return { ...explanation, name: exportName };
  }

  async clusterStatus(): Promise<ClusterStatus> {
    this.check();
    return this.cluster;
  }

  async moveCluster(name: string): Promise<ClusterMoveResult> {
    this.check();
    this.movedTo.push(name);
    const chosen = name === 'auto' ? 'rack-2' : name;
    return { name: chosen, takesEffect: 'now', message: `this node is in cluster ${chosen} now` };
  }

  async clusterImageStatus(name: string): Promise<ClusterImageStatus> {
    await this.imageStatus(name);
    return { ...clusterImageStatus, name };
  }

  async drainNode(options: JobOptions): Promise<DrainResult> {
    this.check();
    this.isDraining = true;
    return { ...(await this.run('drain', 3 * GiB, options)), ...this.drained };
  }

  async undrainNode(): Promise<void> {
    this.check();
    this.isDraining = false;
  }

  async metrics(): Promise<string> {
    this.check();
    return '# TYPE copse_connections gauge\ncopse_connections 2\n';
  }

  async #job(name: string, options: JobOptions): Promise<Progress> {
    const { sizeBytes } = await this.imageStatus(name);
    return this.run(`job of image ${name}`, sizeBytes, options);
  }
}
