/**
 * Composes this node's part in its cluster: the members and their health, this node's own
 * statement, and the parts by which a shared content asks its peers.
 *
 * The server for peers is made later, over images and disks, and passed to `start`.
 */

import type { ClusterMoveResult } from '../../admin/schema-cluster.js';
import type { ImageAddRequest } from '../../admin/schema-image.js';
import { Budget } from '../../base/budget.js';
import { systemClock } from '../../base/clock.js';
import { waitFor } from '../../base/deadline.js';
import { displayUrl } from '../../base/display-url.js';
import { CopseError } from '../../base/error.js';
import { type Closeable, Lifecycle } from '../../base/lifecycle.js';
import type { Logger } from '../../base/log.js';
import { checkClusterName } from '../../base/node-name.js';
import { MiB } from '../../base/size.js';
import { clusterIdOf, type ShareRule } from '../../catalog/cluster-id.js';
import type { ContentSpec, ImageRecord } from '../../catalog/image-record.js';
import { Breaker } from '../../cluster/breaker.js';
import { ClusteredContent } from '../../cluster/clustered-content.js';
import { HedgeBudget } from '../../cluster/hedge-budget.js';
import { LiveCluster } from '../../cluster/live-cluster.js';
import { hostAddresses } from '../../cluster/membership/host-address.js';
import type { Membership } from '../../cluster/membership/membership.js';
import type { NodeIdentity } from '../../cluster/membership/node-identity.js';
import type { NodeRecord } from '../../cluster/node.js';
import { Self, type StatedExports } from '../../cluster/self.js';
import type { ClusterConfig, SocketAddress } from '../../config/schema.js';
import type { Content, ContentCluster } from '../../image/content.js';
import { findRecord } from '../../image/neighbour-record.js';
import type { ManifestFetcher } from '../../manifest/fetcher.js';
import { manifestFetcher } from '../../peer/client/manifest-fetcher.js';
import { NbdPeer } from '../../peer/client/nbd-peer.js';
import { openNbdProbe } from '../../peer/client/probe.js';
import { fetchRecord } from '../../peer/client/record-fetcher.js';

/**
 * Memory for chunks on their way from homes, and for those on their way to peers' guests, in bytes.
 */
const elsewhereMemoryBytes = 128 * MiB;
const peerMemoryBytes = 128 * MiB;
/**
 * Time that a read waits for a home or a holder before it asks another source: half of the guest's
 * deadline, and at most these times, in ms. A holder's answer never depends on an origin, so a
 * holder has less.
 */
const waitShare = 1 / 2;
const maxHomeWaitMs = 30_000;
const maxHeldWaitMs = 6000;
/**
 * Time that a start waits for the other members, in ms. Guests that are served earlier read from
 * the origin.
 */
const readyMs = 3000;
/** Time that a node has to answer whether it serves an image of a name, in ms. */
const imageAskMs = 2000;

export interface ClusterOptions {
  config: ClusterConfig;
  record: NodeRecord;
  /**
   * Joins a cluster, once other nodes can reach this one. Resolves to the cluster's name, and the
   * reason for it.
   */
  enter(liveCluster: LiveCluster): Promise<{ name: string; reason: string }>;
  /** Remembers the choice of a cluster over restarts. */
  identity: NodeIdentity;
  listen: SocketAddress;
  membership: Membership;
  /** Deadline of a guest's request unless its image has another, in ms; 0 means none. */
  guestDeadlineMs: number;
  usedBytes(): number;
  log: Logger;
}

/** The server for peers, as far as the cluster runs it. */
interface PeerListener extends Closeable {
  listen(address: SocketAddress): Promise<void>;
}

export class Cluster {
  readonly config: ClusterConfig;
  readonly membership: Membership;
  readonly liveCluster: LiveCluster;
  readonly self: Self<Content>;
  /** Reason for this cluster, for operators. */
  reason = 'not joined yet';
  readonly hedges = new HedgeBudget();
  readonly #options: ClusterOptions;
  readonly #lifecycle = new Lifecycle();
  readonly #breakers = new Map<string, Breaker>();
  readonly #memory = new Budget(elsewhereMemoryBytes);
  readonly #peerMemory = new Budget(peerMemoryBytes);
  #isStarted = false;

  constructor(options: ClusterOptions) {
    const { membership, record, usedBytes, log } = options;
    this.#options = options;
    this.config = options.config;
    this.membership = this.#lifecycle.own(membership);
    this.self = this.#lifecycle.own(
      new Self<Content>({
        record,
        usedBytes,
        addresses: hostAddresses(systemClock),
        clock: systemClock,
        onChange: () => this.#onSelf(),
      }),
    );
    const waitMs = waitMsOf(options.guestDeadlineMs);
    const openPeer = (id: string, address: string): NbdPeer => new NbdPeer({ id, address, selfId: this.self.record.id, waitMs });
    this.liveCluster = this.#lifecycle.own(
      new LiveCluster({ membership, self: () => this.self.statement, openProbe: openNbdProbe, openPeer, log }),
    );
  }

  /** Serves peers, joins, and waits a moment for the members. @throws CopseError `ERR_LISTEN` */
  async start(server: PeerListener, exports: StatedExports): Promise<void> {
    const { listen, enter, log } = this.#options;
    this.self.state(exports);
    this.#isStarted = true;
    this.#lifecycle.own(server);
    await server.listen(listen);
    const { name, reason } = await enter(this.liveCluster);
    this.reason = reason;
    this.self.change({ cluster: name });
    await waitFor('the neighbours', this.liveCluster.ready(), { timeoutMs: readyMs }).catch(() => {
      log.warn('not all neighbours answer: those that do are asked, the others when they are back');
    });
  }

  /** Moves to another cluster. `auto` takes effect with the next start, which measures. */
  move(name: string): ClusterMoveResult {
    const { identity, config } = this.#options;
    if (config.name !== undefined) {
      throw new CopseError(
        'ERR_OPTION',
        `the configuration puts this node in cluster "${config.name}": change [cluster] name, or --cluster, and restart the daemon`,
      );
    }
    if (name === 'auto') {
      identity.forgetChoice();
      return {
        name: this.self.record.cluster,
        takesEffect: 'at-restart',
        message: 'the node measures and chooses when it is restarted',
      };
    }
    checkClusterName(name);
    this.reason = 'moved here by an operator';
    identity.remember({ name, reason: this.reason, chosenAt: new Date().toISOString() });
    this.self.change({ cluster: name });
    return { name, takesEffect: 'now', message: `the node is in cluster "${name}" from now on` };
  }

  close(): Promise<void> {
    return this.#lifecycle.close();
  }

  breakerOf(peerId: string): Breaker {
    const known = this.#breakers.get(peerId);
    if (known !== undefined) return known;
    const breaker = new Breaker({ clock: systemClock, random: Math.random });
    this.#breakers.set(peerId, breaker);
    return breaker;
  }

  /** Fetchers of a sealed image's manifest, one for each peer that is up. */
  manifestFetchers(): ManifestFetcher[] {
    return this.liveCluster.members().flatMap(({ id, address, state }) => (state === 'up' ? [manifestFetcher(id, address)] : []));
  }

  /**
   * Looks among the peers for one that serves the requested image, for a node that can't ask the
   * origin.
   *
   * @param recordOf this node's own record of a name
   */
  findRecord(request: ImageAddRequest, recordOf: (name: string) => ImageRecord | undefined): Promise<ImageRecord | undefined> {
    const { config, log } = this.#options;
    return findRecord(request, {
      peers: this.liveCluster.members().filter(({ state }) => state === 'up'),
      policy: config.peers,
      fetch: fetchRecord,
      recordOf,
      serves: (peerId, contentId) => this.liveCluster.holdersOf(contentId).some(({ id }) => id === peerId),
      log,
    });
  }

  /** Id of a node that serves an image of that name, and answers in time. */
  async imageAt(imageName: string): Promise<string | undefined> {
    const up = this.liveCluster.members().filter(({ state }) => state === 'up' || state === 'draining');
    const found = await Promise.all(
      up.map(({ id, address }) =>
        fetchRecord(address, imageName, AbortSignal.timeout(imageAskMs)).then(
          () => id,
          () => undefined,
        ),
      ),
    );
    return found.find((id) => id !== undefined);
  }

  /** Other nodes at which clients are attached to an image of that name. */
  attachedAt(imageName: string): string[] {
    return this.liveCluster.members().flatMap(({ id, attached = [] }) => (attached.includes(imageName) ? [id] : []));
  }

  /** Parts of a content that is shared; `undefined` if it is not. */
  clusterOf(spec: ContentSpec, share: ShareRule['share']): ContentCluster | undefined {
    const { id } = clusterIdOf(spec, { share, peers: this.#options.config.peers });
    if (id === undefined) return undefined;
    return {
      id,
      memory: this.#memory,
      peerMemory: this.#peerMemory,
      join: (content, sources) => {
        this.self.share(id, content);
        const { sizeBytes, chunkSizeBytes } = content.spec;
        return new ClusteredContent({
          content: { id, sizeBytes, chunkBytes: chunkSizeBytes },
          name: displayUrl(content.spec.url),
          neighbourhood: this.liveCluster,
          breakerOf: (peerId) => this.breakerOf(peerId),
          hedges: this.hedges,
          verifier: content.manifest,
          ...sources,
          clock: systemClock,
          log: this.#options.log,
        });
      },
      leave: (content) => this.self.unshare(id, content),
    };
  }

  #onSelf(): void {
    // Contents are shared before the start, when other nodes must not yet hear of this one.
    if (this.#isStarted) this.membership.announce(this.self.record);
    queueMicrotask(() => this.liveCluster.selfChanged());
  }
}

/** @throws CopseError `ERR_NOT_CLUSTERED` on a single host */
export function requireCluster(cluster: Cluster | undefined): Cluster {
  if (cluster !== undefined) return cluster;
  throw new CopseError(
    'ERR_NOT_CLUSTERED',
    'this node is in no cluster: start it with --address and --peer or --etcd (docs/reference/configuration.md)',
  );
}

function waitMsOf(guestDeadlineMs: number): { home: number; held: number } {
  const home = guestDeadlineMs === 0 ? maxHomeWaitMs : Math.min(maxHomeWaitMs, guestDeadlineMs * waitShare);
  return { home, held: Math.min(maxHeldWaitMs, home) };
}
