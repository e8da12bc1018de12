/** A whole node in this process, from a Config object, on unix sockets of its own. */
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Test } from 'tap';
import { AdminClient } from '../../src/admin/client.js';
import { silentLogger } from '../../src/base/log.js';
import { type Config, type ConfiguredImage, defaults } from '../../src/config/schema.js';
import { type RunningDaemon, startDaemon } from '../../src/daemon/daemon.js';
import { enter } from '../conformance/wire/handshake.js';
import type { Session } from '../conformance/wire/session.js';
import { shortDir } from '../support/short-dir.js';
import { holds, until } from '../support/wait.js';

export interface Attached {
  session: Session;
  /** Lets go, and waits until the node has noticed. */
  detach(): Promise<void>;
}

export class Node {
  readonly folder: string;
  config: Config;
  admin: AdminClient;
  #daemon: RunningDaemon | undefined;

  private constructor(folder: string, config: Config) {
    this.folder = folder;
    this.config = config;
    this.admin = clientOf(config);
  }

  /** Not started. Stopped with the test at the latest. */
  static async create(t: Test, overrides: Partial<Config> = {}): Promise<Node> {
    const folder = shortDir(t);
    await mkdir(join(folder, 'origin'));
    const node = new Node(folder, {
      stateDir: join(folder, 'state'),
      listen: [{ kind: 'unix', path: join(folder, 'nbd') }],
      listenGiven: true,
      socketMode: 0o660,
      socketGroup: undefined,
      allowRemote: false,
      admin: [{ kind: 'unix', path: join(folder, 'admin') }],
      adminAllowRemote: false,
      adminToken: undefined,
      adminNames: [],
      logLevel: 'silent',
      server: defaults.server,
      cache: { sizeBytes: 2 ** 30, minFreeBytes: 0 },
      imageDefault: { chunkSizeBytes: 65_536, deadlineMs: 50_000, readaheadBytes: 0 },
      limit: defaults.limit,
      node: { id: 'node', address: undefined, listen: undefined },
      cluster: undefined,
      etcd: undefined,
      images: [],
      credentials: [],
      disk: { allowOrigins: [] },
      ...overrides,
    });
    t.after(() => node.stop());
    return node;
  }

  static async start(t: Test, overrides: Partial<Config> = {}): Promise<Node> {
    const node = await Node.create(t, overrides);
    await node.start();
    return node;
  }

  async start(images: ConfiguredImage[] = this.config.images): Promise<RunningDaemon> {
    this.config = { ...this.config, images };
    this.#daemon = await startDaemon(this.config, silentLogger);
    this.admin = clientOf(this.config);
    return this.#daemon;
  }

  async stop(): Promise<void> {
    const daemon = this.#daemon;
    this.#daemon = undefined;
    await this.admin.close();
    await daemon?.stop();
  }

  /** Where a test's origin files lie. */
  originPath(name: string): string {
    return join(this.folder, 'origin', name);
  }

  async attach(name: string): Promise<Attached> {
    const socket: Socket = connect({ path: join(this.folder, 'nbd'), allowHalfOpen: true });
    await once(socket, 'connect');
    const session = await enter(socket, name);
    return {
      session,
      detach: async () => {
        const before = (await this.admin.node.status()).connections;
        socket.destroy();
        await holds(async () => (await this.admin.node.status()).connections < before);
      },
    };
  }

  /** Resolves when that much of an image is on the disk: reads are answered before what they brought is stored. */
  async stored(name: string, cachedBytes: number): Promise<void> {
    await until(
      `${cachedBytes} bytes of ${name} in the cache`,
      async () => (await this.admin.images.status(name)).cache.cachedBytes === cachedBytes,
    );
  }

  /** All of an export of `sizeBytes`, by one connection of its own, piece by piece, so that the cache is never asked to store much at once. */
  async readAll(name: string, sizeBytes: number): Promise<Buffer> {
    const { session, detach } = await this.attach(name);
    const pieces: Buffer[] = [];
    for (let offset = 0; offset < sizeBytes; offset += 65_536) {
      const { error, message, data } = await session.read(offset, Math.min(65_536, sizeBytes - offset));
      if (error !== 0) throw new Error(`reading ${name} at ${offset}: error ${error} ${message}`);
      pieces.push(data);
    }
    await detach();
    return Buffer.concat(pieces);
  }
}

function clientOf({ admin: [address] }: Config): AdminClient {
  if (address === undefined) throw new Error('the node has no admin address');
  return new AdminClient(address);
}

/** Bytes that tell their place and their version. */
export function content(sizeBytes: number, version: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  for (let at = 0; at + 4 <= sizeBytes; at += 4) bytes.writeUInt32LE(((at + 1) * 2654435761 * (version * 2 + 1)) >>> 0, at);
  return bytes;
}
