/**
 * One daemon from its start to its end: the real cache, placement, sources, breakers and eviction, put together as `Content` and `Cluster` do, over a simulated disk, network,
 * origin and clock.
 */

import { Budget } from '../../src/base/budget.js';
import type { Clock } from '../../src/base/clock.js';
import { CopseError, errorCode } from '../../src/base/error.js';
import { silentLogger } from '../../src/base/log.js';
import { ChunkCache } from '../../src/cache/chunk-cache.js';
import { CacheSpace } from '../../src/cache/evict/cache-space.js';
import { Breaker } from '../../src/cluster/breaker.js';
import { ClusteredContent } from '../../src/cluster/clustered-content.js';
import { OriginReach } from '../../src/cluster/health/origin-reach.js';
import { HedgeBudget } from '../../src/cluster/hedge-budget.js';
import type { Neighbourhood } from '../../src/cluster/neighbourhood.js';
import { type NodeStatement, protocolVersion } from '../../src/cluster/node.js';
import type { CachedRun } from '../../src/cluster/peer.js';
import { readAsHome } from '../../src/image/home-read.js';
import { withManifest } from '../../src/manifest/sealed-origin.js';
import { FetchCount, withFetchCount } from '../../src/origin/fetch-count.js';
import { type HealthyOrigin, withHealth } from '../../src/origin/health.js';
import { withRetry } from '../../src/origin/retry.js';
import { PeerImageDevice } from '../../src/peer/server/image-device.js';
import { chunkBytes } from './image.js';
import type { Inspector } from './inspector.js';
import { MemoryStore } from './memory-store.js';
import type { Connection, Endpoint, Network } from './network.js';
import { SimulatedOrigin } from './origin.js';
import type { Host, World } from './world.js';

/** As the daemon's. */
const guestDeadlineMs = 30_000;
const deadlineMs = { home: 20_000, held: 5000 } as const;
const lookMs = 500;

export interface PeerAsk {
  role: 'home' | 'held';
  background: boolean;
  offset: number;
  lengthBytes: number;
}

export interface LiveNeighbourhood extends Neighbourhood {
  selfChanged(): void;
  close(): void;
}

export function processOf(endpoint: Endpoint): Process {
  if (!(endpoint instanceof Process)) throw new TypeError('not a process');
  return endpoint;
}

export class Process implements Endpoint {
  readonly id: string;
  readonly world: World;
  readonly host: Host;
  readonly machine: Host;
  readonly startedAtMs: number;
  readonly clock: Clock;
  readonly connections = new Set<Connection>();
  readonly store: MemoryStore;
  readonly cache: ChunkCache;
  readonly clustered: ClusteredContent;
  readonly neighbourhood: LiveNeighbourhood;
  readonly fetchCount: FetchCount;
  readonly #reentryMemory = new Budget(chunkBytes);
  readonly hedges = new HedgeBudget();
  readonly space: CacheSpace;
  /** Memory for chunks on their way, by who waits. */
  readonly memory: Budget[];
  /** When a peer was last found with a breaker that was not closed. */
  readonly breakerOpenAtMs = new Map<string, number>();
  hasEnded = false;
  isStopped = false;
  /** When it was last stopped, or went on. */
  stoppedAtMs = Number.NEGATIVE_INFINITY;
  /** Resolves when it ends. */
  readonly ended: Promise<void>;
  #onEnd: () => void = () => {};
  readonly #startedAt: string;
  readonly #breakers = new Map<string, Breaker>();
  readonly #deferred: (() => void)[] = [];
  readonly #origin: HealthyOrigin;
  readonly #reach: OriginReach;
  #statement: NodeStatement | undefined;
  /** What this node's own view was made from; a ping may have seen a later one. */
  #told: NodeStatement | undefined;

  constructor(world: World, host: Host, incarnation: number) {
    const { schedule, chance, image, isSealed, inspector, trace } = world;
    this.ended = new Promise((resolve) => {
      this.#onEnd = resolve;
    });
    this.world = world;
    this.host = host;
    this.machine = host;
    this.id = host.id;
    this.startedAtMs = schedule.nowMs;
    this.#startedAt = String(incarnation);
    this.clock = schedule.clockOf(this);
    const { clock } = this;
    this.#reach = new OriginReach(clock);
    this.store = new MemoryStore({ image, disk: host.disk, schedule, chance, owner: this });
    this.space = new CacheSpace({
      path: '/',
      budgetBytes: host.donatedBytes,
      minFreeBytes: 0,
      clock,
      log: silentLogger,
      freeBytes: () => Promise.resolve(2 ** 50),
    });
    const verifier = isSealed ? image : undefined;
    const raw = new SimulatedOrigin({
      image,
      state: world.origin,
      hostId: host.id,
      schedule,
      owner: this,
      latencyMs: () => chance.between(5, 40),
      onSent: (chunk) => inspector.sent(this, chunk),
    });
    this.#origin = withHealth(verifier === undefined ? raw : withManifest(raw, verifier));
    this.fetchCount = new FetchCount({ sizeBytes: image.sizeBytes, chunkBytes });
    const origin = withFetchCount(withRetry(this.#origin, { clock, random: chance.next }), this.fetchCount);
    this.neighbourhood = world.neighbourhoodOf(this);
    this.clustered = new ClusteredContent({
      content: { id: image.id, sizeBytes: image.sizeBytes, chunkBytes },
      name: 'image',
      neighbourhood: this.neighbourhood,
      breakerOf: (peerId) => this.breakerOf(peerId),
      hedges: this.hedges,
      verifier,
      origin: {
        read: (offset, lengthBytes, sink, options) => {
          inspector.originAsked(this, offset, lengthBytes);
          return origin.read(offset, lengthBytes, sink, options);
        },
      },
      readAsHome: (...read) => readAsHome(this.cache, this.#reentryMemory, ...read),
      clock,
      log: silentLogger,
    });
    const { clustered } = this;
    const isHome = (chunk: number): boolean => clustered.isHome(chunk);
    this.space.add(this.store.asChunkStore(), { isHome });
    const budgetChunks = world.memoryChunks;
    this.memory = Array.from({ length: 3 }, () => new Budget(budgetChunks * chunkBytes));
    const [memory = new Budget(0), peerMemory = memory, guestMemory = memory] = this.memory;
    this.cache = new ChunkCache({
      name: host.id,
      store: this.store.asChunkStore(),
      source: {
        read: (...read) => this.#onPath('home', () => clustered.homeSource.read(...read)),
        promote: (...range) => clustered.homeSource.promote?.(...range),
      },
      guestPath: {
        source: {
          read: (...read) => this.#onPath('guest', () => clustered.guestSource.read(...read)),
          promote: (...range) => clustered.guestSource.promote?.(...range),
        },
        memory: guestMemory,
        isHome,
      },
      verifier,
      space: this.space,
      memory,
      peerMemory,
      buffers: world.buffers,
      limits: { demandRequests: 8, prefetchRequests: 2, maxRunChunks: 4, extentChunks: clustered.extentChunks },
      readaheadBytes: world.readaheadChunks * chunkBytes,
      clock,
      log: silentLogger,
    });
    trace.add(`${this.id} starts as ${incarnation}`);
    this.#told = this.statement;
    this.#look();
  }

  get network(): Network {
    return this.world.network;
  }

  get inspector(): Inspector {
    return this.world.inspector;
  }

  /** The same object until something of it is another. */
  get statement(): NodeStatement {
    const { host, world } = this;
    const originReachable = this.#reach.isReachable(this.#origin.health);
    const old = this.#statement;
    if (old?.draining === host.isDraining && old.contents[0]?.originReachable === originReachable) return old;
    this.#statement = {
      protocol: protocolVersion,
      version: 'simulated',
      id: this.id,
      token: host.id,
      cluster: 'simulated',
      address: host.id,
      donatedBytes: host.donatedBytes,
      draining: host.isDraining,
      startedAt: this.#startedAt,
      usedBytes: 0,
      contents: [{ id: world.image.id, sizeBytes: world.image.sizeBytes, chunkSizeBytes: chunkBytes, originReachable }],
      attached: [],
      disks: [],
    };
    return this.#statement;
  }

  breakerOf(peerId: string): Breaker {
    let breaker = this.#breakers.get(peerId);
    if (breaker === undefined) {
      breaker = new Breaker({ clock: this.clock, random: this.world.chance.next });
      this.#breakers.set(peerId, breaker);
    }
    if (breaker.state !== 'closed') this.breakerOpenAtMs.set(peerId, this.clock.nowMs());
    return breaker;
  }

  /** A guest's read, as the server would make it. */
  async readAsGuest(target: Buffer, offset: number, signal: AbortSignal): Promise<void> {
    if (this.cache.readNow(target, 0, target.length, offset)) return;
    await this.cache.read(target, offset, { deadlineMs: guestDeadlineMs, signal });
  }

  /** What a peer gets, in parts; what it is told when it fails is an errno. */
  async serveRead(from: Process, ask: PeerAsk, signal: AbortSignal): Promise<Buffer[]> {
    return this.#serve(from, ask, async (device) => {
      const target = Buffer.alloc(ask.lengthBytes, 0x55);
      const options = { deadlineMs: deadlineMs[ask.role], signal };
      if (!device.readNow(target, 0, target.length, ask.offset)) await device.read(target, ask.offset, options);
      const bytes = this.host.lies ? this.world.lieOf(this.host, target) : target;
      const half = Math.floor(bytes.length / 2);
      return this.world.chance.happens(0.3) ? [bytes.subarray(0, half), bytes.subarray(half)] : [bytes];
    });
  }

  serveCache(from: Process, ask: PeerAsk, signal: AbortSignal): Promise<never[]> {
    return this.#serve(from, ask, async (device) => {
      await device.cache(ask.offset, ask.lengthBytes, { deadlineMs: deadlineMs[ask.role], signal });
      return [];
    });
  }

  cachedRuns({ offset, lengthBytes }: PeerAsk): CachedRun[] {
    return this.cache.cachedExtents(offset, lengthBytes, Number.MAX_SAFE_INTEGER);
  }

  defer(run: () => void): void {
    this.#deferred.push(run);
  }

  /** It goes on: everything that came meanwhile is there at once. */
  resume(): void {
    this.isStopped = false;
    this.stoppedAtMs = this.clock.nowMs();
    for (const run of this.#deferred.splice(0)) this.world.schedule.at(0, run, this);
  }

  /** Without any goodbye; the machine tells whom it was connected with, unless it is silent. */
  end(): void {
    this.hasEnded = true;
    this.#onEnd();
    this.space.close();
    for (const connection of [...this.connections]) {
      if (!this.host.isSilent) connection.reset(this);
    }
    this.world.trace.add(`${this.id} ends`);
  }

  async #serve<Reply>(from: Process, ask: PeerAsk, work: (device: PeerImageDevice) => Promise<Reply>): Promise<Reply> {
    const { role, background } = ask;
    const onServed = (offset: number, lengthBytes: number): void => this.clustered.onServed(from.id, offset, lengthBytes);
    const device = new PeerImageDevice({ cache: this.cache, role, background, onServed });
    const { causes } = this.world.schedule;
    const hops = [...(causes.getStore()?.hops ?? []), `${role}@${this.id}`];
    try {
      return await causes.run({ hops }, () => work(device));
    } catch (error) {
      if (['ENOTSUP', 'ERR_NBD_PROTOCOL'].includes(errorCode(error))) throw error;
      throw new CopseError('EIO', errorCode(error), { cause: error });
    }
  }

  #onPath<T>(path: 'home' | 'guest', work: () => Promise<T>): Promise<T> {
    const { causes } = this.world.schedule;
    this.world.schedule.touch();
    return causes.run({ hops: causes.getStore()?.hops ?? [], path }, work);
  }

  #look(): void {
    this.clock.after(lookMs, () => {
      if (this.statement !== this.#told) this.stateChanged();
      this.#look();
    });
  }

  /** What it says of itself is another. */
  stateChanged(): void {
    this.#told = this.statement;
    this.neighbourhood.selfChanged();
    this.world.told(this);
  }
}
