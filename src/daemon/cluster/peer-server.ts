/**
 * Composes the server that other nodes attach to, of this node's statement, contents, records,
 * manifests and disks.
 *
 * Invariants: clients of this node never see its exports. A content that a peer reads is leased for
 * the length of the connection.
 */

import { systemClock } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import type { ImageRecord } from '../../catalog/image-record.js';
import type { SocketAddress } from '../../config/address.js';
import type { Content } from '../../image/content.js';
import type { ContentLease, ContentPool } from '../../image/content-pool.js';
import { noOrigin } from '../../image/origin-slot.js';
import { peerUserTimeoutMs } from '../../peer/client/connect.js';
import { Callers } from '../../peer/server/callers.js';
import { PeerDirectory } from '../../peer/server/directory.js';
import type { PeerDisks } from '../../peer/server/disk-directory.js';
import { Server, type ServerLimits } from '../../server/server.js';
import type { Cluster } from './cluster.js';

/**
 * Deadlines of a home and of a holder, in ms, shorter than the asking node's patience: a home whose
 * origin is slow says so before the asking node takes it for one that does not answer.
 */
const homeDeadlineShare = 0.45;
const homeDeadlineMs = 20_000;
const heldDeadlineMs = 5000;
const requestsPerConnection = 1024;
const connectionCount = 4096;
const drainMs = 2000;

export interface PeerServerOptions {
  cluster: Cluster;
  pool: ContentPool;
  diskService: PeerDisks;
  /** This node's record of an image of a name. */
  record(name: string): ImageRecord | undefined;
  manifest(digest: string): Promise<Buffer | undefined>;
  limits: ServerLimits;
  /** Deadline of a guest's request unless its image has another, in ms; 0 means none. */
  guestDeadlineMs: number;
  log: Logger;
}

export class PeerServer {
  readonly directory: PeerDirectory;
  readonly #options: PeerServerOptions;
  readonly #server: Server;

  constructor(options: PeerServerOptions) {
    this.#options = options;
    const { cluster, diskService, record, manifest, limits, log } = options;
    const callers = new Callers({
      members: () => cluster.liveCluster.members(),
      meet: (address) => cluster.liveCluster.meet(address),
      clock: systemClock,
    });
    this.directory = new PeerDirectory({
      identify: (client, name) => callers.identify(client, name),
      statement: () => cluster.self.statement,
      open: (id) => this.#open(id),
      manifest,
      record,
      disk: async (uuid, fromNodeId) => diskService.disk?.(uuid, fromNodeId),
      blocks: async (uuid, fromNodeId) => diskService.blocks?.(uuid, fromNodeId),
      map: async (uuid, request) => diskService.map?.(uuid, request),
      call: async (method, argument, context) => diskService.call?.(method, argument, context),
    });
    const userTimeoutMs = peerUserTimeoutMs;
    this.#server = new Server({
      directory: this.directory,
      limits: { ...limits, connectionCount, requestsPerConnection },
      userTimeoutMs,
      log,
    });
  }

  /** @throws CopseError `ERR_LISTEN` */
  async listen(address: SocketAddress): Promise<void> {
    await this.#server.listen(address);
  }

  close(): Promise<void> {
    return this.#server.stop(drainMs);
  }

  async #open(id: string) {
    const { cluster, pool } = this.#options;
    const content = cluster.self.content(id);
    if (content === undefined) return undefined;
    const lease: ContentLease = await pool.lease(content.spec, undefined, noOrigin);
    const held: Content = lease.content;
    return {
      cache: held.cache,
      deadlineMs: { home: this.#homeDeadlineMs(), held: heldDeadlineMs },
      onServed: (peerId: string, offset: number, lengthBytes: number) => held.clustered?.onServed(peerId, offset, lengthBytes),
      release: () => void lease.release(),
    };
  }

  #homeDeadlineMs(): number {
    const { guestDeadlineMs } = this.#options;
    return guestDeadlineMs === 0 ? homeDeadlineMs : Math.min(homeDeadlineMs, guestDeadlineMs * homeDeadlineShare);
  }
}
