/** A host of the lab with its daemon, which is killed and started anew, and its disks' folders as they lie there. */
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AdminClient } from '../../src/admin/client.js';
import type { DiskStatus } from '../../src/admin/schema-disk.js';
import type { Closeable } from '../../src/base/lifecycle.js';
import { type RunningCopse, startCopse } from '../bench/server/copse.js';
import type { LabPlace } from '../lab/place.js';
import { until } from '../support/wait.js';

/** Where nodes listen for each other. */
const peerPort = 10_809;

export interface HostOptions {
  place: LabPlace;
  /** All places of the cluster. */
  peers: readonly LabPlace[];
  nodeId: string;
  /** For everything of this host; must not exist. */
  dir: string;
  /** Of the image `base`. */
  imagePath: string;
}

export class Host implements Closeable {
  readonly nodeId: string;
  readonly place: LabPlace;
  readonly dir: string;
  readonly admin: AdminClient;
  readonly #options: HostOptions;
  #daemon: RunningCopse | undefined;

  private constructor(options: HostOptions) {
    this.#options = options;
    this.nodeId = options.nodeId;
    this.place = options.place;
    this.dir = options.dir;
    this.admin = new AdminClient({ kind: 'unix', path: join(options.dir, 'admin.sock') });
  }

  static async start(options: HostOptions): Promise<Host> {
    await mkdir(options.dir);
    const host = new Host(options);
    await host.start();
    return host;
  }

  get socketPath(): string {
    return join(this.dir, 'nbd.sock');
  }

  uri(diskName: string): string {
    return `nbd+unix:///${diskName}?socket=${this.socketPath}`;
  }

  /** On the state that an earlier one left. */
  async start(): Promise<void> {
    const { place, peers, nodeId, dir, imagePath } = this.#options;
    const address = (of: LabPlace): string => `${of.address}:${peerPort}`;
    const cluster = ['--node', nodeId, '--address', address(place), '--cluster', 'migration'];
    this.#daemon = await startCopse(dir, {
      images: { base: imagePath },
      flags: [...cluster, ...peers.flatMap((peer) => ['--peer', address(peer)]), '--log-level', 'debug'],
      wrap: (command, args) => place.command(command, args),
    });
  }

  /** Of the daemon: `kill -9`. */
  async kill(): Promise<void> {
    await this.#daemon?.program.kill();
    this.#daemon = undefined;
  }

  /** To the daemon: SIGSTOP, SIGCONT. */
  signal(name: NodeJS.Signals): void {
    const pid = this.#daemon?.program.pid;
    if (pid !== undefined) process.kill(pid, name);
  }

  /** As an operator stops it. */
  async stop(): Promise<void> {
    await this.#daemon?.close();
    this.#daemon = undefined;
  }

  /** Resolves once it sees so many nodes up, itself among them. */
  async sees(nodeCount: number): Promise<void> {
    const up = async (): Promise<number> =>
      (await this.admin.cluster.status()).members.filter(({ state }) => state === 'up' || state === 'self').length;
    await until(
      `${nodeCount} nodes seen by ${this.nodeId}`,
      async () => (await up()) === nodeCount,
      () => this.admin.cluster.status(),
    );
  }

  async disk(name: string): Promise<DiskStatus> {
    return this.admin.disks.status(name);
  }

  /** Resolves once it owns the disk and lacks none of its blocks, and no other node keeps any for it. */
  async hasAllOf(name: string): Promise<void> {
    await until(
      `all of ${name} on ${this.nodeId}`,
      async () => {
        const { place, toCome } = await this.disk(name);
        return place === 'owner' && toCome.length === 0;
      },
      () => this.disk(name),
    );
  }

  /** Resolves once nothing of any disk lies here. */
  async hasNoFolder(): Promise<void> {
    await until(
      `no folder of a disk on ${this.nodeId}`,
      async () => (await this.folders()).length === 0,
      () => this.folders(),
    );
  }

  /** Of disks that are there, not of those that are being made or removed. */
  async folders(): Promise<string[]> {
    return (await readdir(join(this.dir, 'state', 'disk'))).filter((name) => !name.includes('.'));
  }

  /** The durable log of the one disk that it has; undefined where it has none. */
  async ownerLog(): Promise<{ state: string; epoch: number; to?: { id: string; accepted: boolean } } | undefined> {
    const [uuid] = await this.folders();
    if (uuid === undefined) return undefined;
    return JSON.parse(await readFile(join(this.dir, 'state', 'disk', uuid, 'owner.json'), 'utf8'));
  }

  /** Resolves once its durable log says so of the one disk. */
  async logs(state: 'owner' | 'granted'): Promise<void> {
    await until(
      `${this.nodeId}: ${state}`,
      async () => (await this.ownerLog())?.state === state,
      () => this.ownerLog(),
    );
  }

  /** All of its daemons' logs so far, line by line. */
  async log(): Promise<Record<string, unknown>[]> {
    const lines = (await readFile(join(this.dir, 'log'), 'utf8')).split('\n');
    return lines.flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Record<string, unknown>] : []));
  }

  async close(): Promise<void> {
    await this.admin.close();
    await this.#daemon?.close();
  }
}
