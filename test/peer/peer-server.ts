/** A real server of peer exports in this process, over contents that a test makes. */
import type { Test } from 'tap';
import { silentLogger } from '../../src/base/log.js';
import type { ImageRecord } from '../../src/catalog/image-record.js';
import type { NodeStatement } from '../../src/cluster/node.js';
import { type PeerContents, PeerDirectory, type PeerMemoryBytes } from '../../src/peer/server/directory.js';
import type { PeerCache } from '../../src/peer/server/image-device.js';
import type { ClientIdentity } from '../../src/server/export.js';
import { Server } from '../../src/server/server.js';
import { ownHost } from '../fault/own-host.js';
import { contentIdOf, sharedContent, statementOf } from './node-statement.js';

export class TestContents implements PeerContents {
  current: NodeStatement;
  readonly caches = new Map<string, PeerCache>();
  readonly manifests = new Map<string, Buffer>();
  readonly records = new Map<string, ImageRecord>();
  readonly deadlineMs = { home: 20_000, held: 5000 };
  readonly served: { from: string; offset: number; lengthBytes: number }[] = [];
  /** Opened and not released. */
  heldCount = 0;

  constructor(id: string, overrides: Partial<NodeStatement> = {}) {
    this.current = statementOf(id, overrides);
  }

  /** Shares `cache` as content `contentIdOf(index)`. */
  share(index: number, cache: PeerCache): string {
    const id = contentIdOf(index);
    this.caches.set(id, cache);
    const content = sharedContent(index, { sizeBytes: cache.store.sizeBytes });
    this.current = { ...this.current, contents: [...this.current.contents, content] };
    return id;
  }

  statement(): NodeStatement {
    return this.current;
  }

  open(id: string) {
    const cache = this.caches.get(id);
    if (cache === undefined) return undefined;
    this.heldCount += 1;
    return {
      cache,
      deadlineMs: this.deadlineMs,
      onServed: (from: string, offset: number, lengthBytes: number) => void this.served.push({ from, offset, lengthBytes }),
      release: () => {
        this.heldCount -= 1;
      },
    };
  }

  manifest(digest: string): Buffer | undefined {
    return this.manifests.get(digest);
  }

  record(name: string): ImageRecord | undefined {
    return this.records.get(name);
  }

  /** Everybody is the member that it says it is. */
  async identify(_client: ClientIdentity, id = 'nameless') {
    return { id, address: '' };
  }
}

/** For who opens an export without a connection. */
export const nobody: ClientIdentity = { key: 'unknown', text: 'nobody' };

export interface PeerServer {
  /** HOST:PORT */
  address: string;
  directory: PeerDirectory;
  server: Server;
}

/** On a port of the kernel's choice, or on that of `address`. Stopped with the test at the latest. */
export async function servePeers(
  t: Test,
  contents: PeerContents,
  options: { memoryBytes?: PeerMemoryBytes; address?: string; requestsPerConnection?: number } = {},
): Promise<PeerServer> {
  const directory = new PeerDirectory(contents, options.memoryBytes);
  const server = new Server({
    directory,
    limits: {
      connectionCount: 100,
      handshakeTimeoutMs: 10_000,
      requestsPerConnection: options.requestsPerConnection ?? 256,
      bytesPerConnection: 2 ** 26,
      requestMemoryBytes: 2 ** 26,
    },
    log: silentLogger,
  });
  t.after(async () => {
    // A connection whose input is over holds no event loop, and a daemon's clock does not either.
    const keepAlive = setInterval(() => {}, 1000);
    await server.stop(0);
    clearInterval(keepAlive);
  });
  const port = Number(options.address?.split(':')[1] ?? 0);
  const uri = new URL(await server.listen({ kind: 'tcp', host: ownHost, port }));
  return { address: `${ownHost}:${uri.port}`, directory, server };
}
