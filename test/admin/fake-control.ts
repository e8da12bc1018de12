/** A `Control` in memory, whose jobs and errors the test decides. */

import type {
  ClusterControl,
  ClusterImageStatus,
  ClusterMoveResult,
  ClusterStatus,
  Control,
  DaemonStatus,
  DrainResult,
  Explanation,
  NodeControl,
} from '../../src/admin/control.js';
import type { JobOptions } from '../../src/base/job.js';
import { GiB, KiB, MiB } from '../../src/base/size.js';
import { FakeDisks } from './fake-disks.js';
import { FakeImages } from './fake-images.js';
import { FakeJobs } from './fake-job.js';

export const daemonStatus: DaemonStatus = {
  version: '0.2.0',
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
      version: '0.2.0',
      donatedBytes: 100 * GiB,
      usedBytes: 25 * GiB,
      breaker: 'closed',
      setAside: [],
    },
    {
      id: 'host-b',
      address: '10.0.0.2:10810',
      state: 'up',
      version: '0.2.0',
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

class FakeNode implements NodeControl {
  isDraining = false;
  drained: Omit<DrainResult, 'doneBytes' | 'totalBytes'> = {
    handedOnBytes: 3 * GiB,
    lastCopiesLeft: 0,
    disksMoved: 0,
    disksLeft: [],
    safe: true,
    message: 'this host may be switched off',
  };
  readonly #jobs: FakeJobs;
  readonly #images: FakeImages;

  constructor(jobs: FakeJobs, images: FakeImages) {
    this.#jobs = jobs;
    this.#images = images;
  }

  async status(): Promise<DaemonStatus> {
    this.#jobs.check();
    return { ...daemonStatus, imageCount: this.#images.known.size };
  }

  async metrics(): Promise<string> {
    this.#jobs.check();
    return '# TYPE copse_connections gauge\ncopse_connections 2\n';
  }

  async explain(exportName: string): Promise<Explanation> {
    await this.#images.status(exportName);
    return { ...explanation, name: exportName };
  }

  async drain(options: JobOptions): Promise<DrainResult> {
    this.#jobs.check();
    this.isDraining = true;
    return { ...(await this.#jobs.run('drain', 3 * GiB, options)), ...this.drained };
  }

  async undrain(): Promise<void> {
    this.#jobs.check();
    this.isDraining = false;
  }
}

class FakeCluster implements ClusterControl {
  readonly movedTo: string[] = [];
  current = clusterStatus;
  readonly #jobs: FakeJobs;
  readonly #images: FakeImages;

  constructor(jobs: FakeJobs, images: FakeImages) {
    this.#jobs = jobs;
    this.#images = images;
  }

  async status(): Promise<ClusterStatus> {
    this.#jobs.check();
    return this.current;
  }

  async move(name: string): Promise<ClusterMoveResult> {
    this.#jobs.check();
    this.movedTo.push(name);
    const chosen = name === 'auto' ? 'rack-2' : name;
    return { name: chosen, takesEffect: 'now', message: `this node is in cluster ${chosen} now` };
  }

  async imageStatus(name: string): Promise<ClusterImageStatus> {
    await this.#images.status(name);
    return { ...clusterImageStatus, name };
  }
}

export class FakeControl extends FakeJobs implements Control {
  readonly images = new FakeImages(this);
  readonly disks = new FakeDisks(this);
  readonly node = new FakeNode(this, this.images);
  readonly cluster = new FakeCluster(this, this.images);
}
