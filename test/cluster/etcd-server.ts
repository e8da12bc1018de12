/**
 * A real etcd of one member, in a directory of its own, on ports that the kernel chose. Ended by its process id.
 *
 * The ports are asked for before etcd starts, since it can't choose them itself; they stay the same over `restart`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { EtcdClient } from '../../src/base/etcd/client.js';

export class EtcdServer {
  readonly url: string;
  readonly #peerUrl: string;
  readonly #dir = mkdtempSync(join(tmpdir(), 'copse-etcd-'));
  #process: ReturnType<typeof spawnEtcd> | undefined;

  private constructor(clientPort: number, peerPort: number) {
    this.url = `http://127.0.0.1:${clientPort}`;
    this.#peerUrl = `http://127.0.0.1:${peerPort}`;
  }

  /** Resolves when it answers. Another try with other ports if somebody took them meanwhile. */
  static async start(): Promise<EtcdServer> {
    for (let attempt = 1; ; attempt++) {
      const [clientPort, peerPort] = await freePorts();
      const server = new EtcdServer(clientPort, peerPort);
      try {
        await server.restart();
        return server;
      } catch (error) {
        await server.stop();
        if (attempt === 3) throw error;
      }
    }
  }

  /** A port where nobody listens. */
  static async deadUrl(): Promise<string> {
    const [port] = await freePorts();
    return `http://127.0.0.1:${port}`;
  }

  /** Starts it again, with what it has on disk, after `kill` or `wipe`. */
  async restart(): Promise<void> {
    const args = ['--data-dir', join(this.#dir, 'data'), '--listen-client-urls', this.url, '--advertise-client-urls', this.url];
    args.push(
      '--listen-peer-urls',
      this.#peerUrl,
      '--initial-advertise-peer-urls',
      this.#peerUrl,
      '--initial-cluster',
      `default=${this.#peerUrl}`,
    );
    const child = spawnEtcd(args);
    this.#process = child;
    let ended = false;
    void child.then(() => {
      ended = true;
    });
    const client = new EtcdClient({ urls: [this.url], callTimeoutMs: 500 });
    try {
      for (const untilMs = performance.now() + 60_000; ; ) {
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

async function freePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()];
  const ports: number[] = [];
  for (const server of servers) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    ports.push(typeof address === 'object' && address !== null ? address.port : 0);
  }
  for (const server of servers) await new Promise((resolve) => server.close(resolve));
  const [first = 0, second = 0] = ports;
  return [first, second];
}
