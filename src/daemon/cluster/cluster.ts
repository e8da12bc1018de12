/**
 * This node's part in its cluster, put together: who is there (membership, prober), what peers may ask of this node (a server of its own), and what each shared content
 * needs to ask them.
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
import { hostAddresses } from '../../cluster/membership/host-address.js';
import type { Membership } from '../../cluster/membership/membership.js';
import type { NodeIdentity } from '../../cluster/membership/node-identity.js';
import type { NodeRecord } from '../../cluster/node.js';
import { Prober } from '../../cluster/prober.js';
import { Self, type StatedExports } from '../../cluster/self.js';
import type { ClusterConfig, SocketAddress } from '../../config/schema.js';
import type { Content, ContentCluster } from '../../image/content.js';
import { findRecord } from '../../image/neighbour-record.js';
import type { ManifestFetcher } from '../../manifest/fetcher.js';
import { manifestFetcher } from '../../peer/client/manifest-fetcher.js';
import { NbdPeer } from '../../peer/client/nbd-peer.js';
import { openNbdProbe } from '../../peer/client/probe.js';
import { fetchRecord } from '../../peer/client/record-fetcher.js';

/** For chunks on their way from homes, and for those on their way here for peers' guests. */
const elsewhereMemoryBytes = 128 * MiB;
const peerMemoryBytes = 128 * MiB;
/**
 * A read waits for a home, or a holder, for half of the guest's deadline, and for no longer than this where guests have
 * none: then another source is asked. A holder's answer never depends on an origin.
 */
const waitShare = 1 / 2;
const mostHomeWaitMs = 30_000;
const mostHeldWaitMs = 6000;
/** How long a start waits for its neighbours: a guest that is served sooner is served from the origin. */
const readyMs = 3000;
/** How long a node may take to say whether it serves an image of a name that a disk is to have. */
const imageAskMs = 2000;

export interface ClusterOptions {
  config: ClusterConfig;
  record: NodeRecord;
  /** Joins when this node can be reached: resolves to which cluster it is, and why, for people. */
  enter(prober: Prober): Promise<{ name: string; reason: string }>;
  /** Where a choice of cluster is remembered. */
  identity: NodeIdentity;
  listen: SocketAddress;
  membership: Membership;
  /** Of images that say nothing else; 0: none. */
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
  readonly prober: Prober;
  readonly self: Self<Content>;
  /** Why it is this cluster. */
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
    this.prober = this.#lifecycle.own(new Prober({ membership, self: () => this.self.statement, openProbe: openNbdProbe, openPeer, log }));
  }

  /** Serves peers, joins, and waits a moment for the members. @throws CopseError `ERR_LISTEN` */
  async start(server: PeerListener, exports: StatedExports): Promise<void> {
    const { listen, enter, log } = this.#options;
    this.self.state(exports);
    this.#isStarted = true;
    this.#lifecycle.own(server);
    await server.listen(listen);
    const { name, reason } = await enter(this.prober);
    this.reason = reason;
    this.self.change({ cluster: name });
    await waitFor('the neighbours', this.prober.ready(), { timeoutMs: readyMs }).catch(() => {
      log.warn('not all neighbours answer: those that do are asked, the others when they are back');
    });
  }

  /** Leaves this cluster for another one; by `auto` at the next start, since only then it is measured. */
  move(name: string): ClusterMoveResult {
    const { identity, config } = this.#options;
    if (config.name !== undefined) {
      throw new CopseError(
        'ERR_OPTION',
        `the configuration says that this node is in cluster "${config.name}": change [cluster] name, or --cluster, and start it again`,
      );
    }
    if (name === 'auto') {
      identity.forgetChoice();
      return {
        name: this.self.record.cluster,
        takesEffect: 'at-restart',
        message: 'the node measures and chooses anew when it is started again',
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

  /** Peers that may have a sealed image's manifest. */
  manifestFetchers(): ManifestFetcher[] {
    return this.prober.members().flatMap(({ id, address, state }) => (state === 'up' ? [manifestFetcher(id, address)] : []));
  }

  /**
   * Looks among the peers for one that serves the requested image, for a node that can't ask the origin.
   *
   * @param recordOf this node's own record of a name
   */
  findRecord(request: ImageAddRequest, recordOf: (name: string) => ImageRecord | undefined): Promise<ImageRecord | undefined> {
    const { config, log } = this.#options;
    return findRecord(request, {
      peers: this.prober.members().filter(({ state }) => state === 'up'),
      policy: config.peers,
      fetch: fetchRecord,
      recordOf,
      serves: (peerId, contentId) => this.prober.holdersOf(contentId).some(({ id }) => id === peerId),
      log,
    });
  }

  /** A node that serves an image of that name, and says so in time. */
  async imageAt(imageName: string): Promise<string | undefined> {
    const up = this.prober.members().filter(({ state }) => state === 'up' || state === 'draining');
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
    return this.prober.members().flatMap(({ id, attached = [] }) => (attached.includes(imageName) ? [id] : []));
  }

  /** `undefined`: not shared. */
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
          neighbourhood: this.prober,
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
    // Contents are shared before anybody is told of this node.
    if (this.#isStarted) this.membership.announce(this.self.record);
    queueMicrotask(() => this.prober.selfChanged());
  }
}

/** @throws CopseError `ERR_NOT_CLUSTERED` on a single host */
export function requireCluster(cluster: Cluster | undefined): Cluster {
  if (cluster !== undefined) return cluster;
  throw new CopseError(
    'ERR_NOT_CLUSTERED',
    'this node is in no cluster: start it with --address and --peer or --etcd (docs/configuration.md)',
  );
}

function waitMsOf(guestDeadlineMs: number): { home: number; held: number } {
  const home = guestDeadlineMs === 0 ? mostHomeWaitMs : Math.min(mostHomeWaitMs, guestDeadlineMs * waitShare);
  return { home, held: Math.min(mostHeldWaitMs, home) };
}
