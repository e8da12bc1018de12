/**
 * A real etcd, of one member or several, each in a directory of its own, on ports that the kernel chose. Ended by its process id.
 *
 * The ports are asked for before etcd starts, since it can't choose them itself; they stay the same over `restart`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { EtcdClient } from '../../src/base/etcd/client.js';
import { ownHost } from '../fault/own-host.js';

export class EtcdServer {
  readonly url: string;
  readonly #peerUrl: string;
  readonly #dir = mkdtempSync(join(tmpdir(), 'copse-etcd-'));
  #process: ReturnType<typeof spawnEtcd> | undefined;

  readonly #name: string;
  readonly #initialCluster: string;

  private constructor(place: Place, all: readonly Place[]) {
    this.url = place.url;
    this.#peerUrl = place.peerUrl;
    this.#name = place.name;
    this.#initialCluster = all.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(',');
  }

  /** Resolves when it answers. */
  static async start(): Promise<EtcdServer> {
    const [server] = await EtcdServer.startCluster(1);
    if (server === undefined) throw new Error('etcd has no member');
    return server;
  }

  /** Resolves when they have a quorum. Another try with other ports if somebody took them meanwhile. */
  static async startCluster(memberCount: number): Promise<EtcdServer[]> {
    for (let attempt = 1; ; attempt++) {
      const places: Place[] = [];
      for (const port of await freePorts(memberCount)) {
        places.push({
          name: `member-${places.length}`,
          url: `http://${ownHost}:${port.client}`,
          peerUrl: `http://${ownHost}:${port.peer}`,
        });
      }
      const servers = places.map((place) => new EtcdServer(place, places));
      const started = await Promise.allSettled(servers.map((server) => server.restart()));
      const failure = started.find((result) => result.status === 'rejected');
      if (failure === undefined) return servers;
      for (const server of servers) await server.stop();
      if (attempt === 3) throw failure.reason;
    }
  }

  /** A port where nobody listens. */
  static async deadUrl(): Promise<string> {
    const [port] = await freePorts(1);
    return `http://${ownHost}:${port?.client}`;
  }

  /** Starts it again, with what it has on disk, after `kill` or `wipe`. */
  async restart(): Promise<void> {
    const args = ['--name', this.#name, '--data-dir', join(this.#dir, 'data')];
    args.push('--listen-client-urls', this.url, '--advertise-client-urls', this.url);
    args.push('--listen-peer-urls', this.#peerUrl, '--initial-advertise-peer-urls', this.#peerUrl);
    args.push('--initial-cluster', this.#initialCluster);
    const child = spawnEtcd(args);
    this.#process = child;
    let ended = false;
    void child.then(() => {
      ended = true;
    });
    const client = new EtcdClient({ urls: [this.url], callTimeoutMs: 500 });
    try {
      for (const untilMs = performance.now() + 300_000; ; ) {
        try {
          await client.get('up');
          return;
        } catch (error) {
          if (ended) throw new Error(`etcd ended: ${String((await child).all).slice(-2000)}`);
          if (performance.now() > untilMs) throw error;
        }
      }
    } finally {
      client.close();
    }
  }

  /** Whether it leads its cluster, as it says itself. */
  async leads(): Promise<boolean> {
    const { stdout } = await execa('etcdctl', ['--endpoints', this.url, 'endpoint', 'status', '--write-out', 'json'], {
      env: { ETCDCTL_API: '3' },
    });
    const [found] = JSON.parse(stdout) as { Status: { header: { member_id: number }; leader: number } }[];
    return found !== undefined && found.Status.leader === found.Status.header.member_id;
  }

  /** As by the kernel's hand. What it wrote is there after `restart`. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    // A stopped process dies of SIGKILL, too.
    child?.kill('SIGKILL');
    await child;
  }

  /** It keeps its connections and answers nothing. */
  stall(): void {
    this.#process?.kill('SIGSTOP');
  }

  resume(): void {
    this.#process?.kill('SIGCONT');
  }

  /** Comes back empty, on the same ports: revisions begin anew. */
  async wipe(): Promise<void> {
    await this.kill();
    rmSync(join(this.#dir, 'data'), { recursive: true, force: true });
    await this.restart();
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

function spawnEtcd(args: string[]) {
  return execa('etcd', [...args, '--unsafe-no-fsync'], { reject: false, all: true, cleanup: true, maxBuffer: 10_000_000 });
}

interface Place {
  name: string;
  url: string;
  peerUrl: string;
}

async function freePorts(memberCount: number): Promise<{ client: number; peer: number }[]> {
  const servers = Array.from({ length: memberCount * 2 }, () => createServer());
  const ports: number[] = [];
  for (const server of servers) {
    await new Promise<void>((resolve) => server.listen(0, ownHost, resolve));
    const address = server.address();
    ports.push(typeof address === 'object' && address !== null ? address.port : 0);
  }
  for (const server of servers) await new Promise((resolve) => server.close(resolve));
  return Array.from({ length: memberCount }, (_, index) => ({ client: ports[2 * index] ?? 0, peer: ports[2 * index + 1] ?? 0 }));
}
