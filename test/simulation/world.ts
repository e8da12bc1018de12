/** All there is in a run: hosts, the network between them, the origin, time, chance, and who watches. */

import { CopseError } from '../../src/base/error.js';
import { foreignErrorCode } from '../../src/base/error-code.js';
import { silentLogger } from '../../src/base/log.js';
import { BufferPools } from '../../src/cache/buffer-pool.js';
import { LiveCluster } from '../../src/cluster/live-cluster.js';
import type { Membership, Seed } from '../../src/cluster/membership/membership.js';
import { Chance } from './chance.js';
import { chunkBytes, Image } from './image.js';
import { Inspector } from './inspector.js';
import { afterUncleanEnd, type Disk, emptyDisk } from './memory-store.js';
import { type Machine, Network } from './network.js';
import { OriginState } from './origin.js';
import { type LiveNeighbourhood, Process } from './process.js';
import { type Profile, profileOf, type RunOptions } from './profile.js';
import { Schedule } from './schedule.js';
import { ToldNeighbourhood } from './told-neighbourhood.js';
import { Trace } from './trace.js';
import { WirePeer, WireProbe } from './wire-peer.js';

export interface Host extends Machine {
  disk: Disk;
  process: Process | undefined;
  donatedBytes: number;
  isDraining: boolean;
  /** Sends wrong bytes, now and then. */
  lies: boolean;
  hasLied: boolean;
  /** How it came by each chunk that it was ever given. */
  readonly provenance: Map<number, { from: string; askedAtMs: number; atMs: number }>;
}

/** A list that grows: who is there already, and who comes later, as each process learns of it. */
class GrowingMembership implements Membership {
  readonly status = { kind: 'static', well: true } as const;
  seeds: readonly Seed[];
  readonly #listeners = new Set<() => void>();

  constructor(seeds: readonly Seed[]) {
    this.seeds = seeds;
  }

  add(address: string): void {
    this.seeds = [...this.seeds, { address }];
    for (const listener of this.#listeners) listener();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  announce(): void {}

  close(): void {}
}

export class World {
  readonly profile: Profile;
  readonly chance: Chance;
  readonly schedule = new Schedule();
  readonly trace = new Trace(() => this.schedule.nowMs);
  readonly image: Image;
  readonly origin: OriginState;
  readonly network: Network;
  readonly inspector: Inspector;
  readonly buffers = new BufferPools(1024 * 1024);
  readonly hosts: Host[] = [];
  readonly #hostById = new Map<string, Host>();
  /** By process id; only of those that ping. */
  readonly #memberships = new Map<Process, GrowingMembership>();
  readonly #told = new Map<Process, ToldNeighbourhood>();
  readonly #troubledAtMs = new Map<string, number>();
  lastTroubleMs = Number.NEGATIVE_INFINITY;
  /** When the origin was last not there for somebody. */
  originTroubleMs = Number.NEGATIVE_INFINITY;
  #starts = 0;

  constructor(options: RunOptions) {
    this.chance = new Chance(options.seed);
    this.profile = profileOf(options, this.chance);
    const { extentCount, activePerExtent, nodeCount } = this.profile;
    this.image = new Image(extentCount, activePerExtent);
    this.origin = new OriginState(this.image);
    this.inspector = new Inspector(this);
    const { schedule, chance } = this;
    this.network = new Network({
      schedule,
      chance,
      listener: (id) => {
        const machine = this.#hostById.get(id);
        return machine && { machine, process: machine.process };
      },
    });
    for (let index = 0; index < nodeCount; index += 1) this.addHost();
    for (const host of this.hosts) this.start(host);
    this.#introduce();
  }

  /** At the beginning everybody knows everybody. */
  #introduce(): void {
    const statements = this.processes.map((process) => process.statement);
    for (const neighbourhood of this.#told.values()) {
      for (const statement of statements) neighbourhood.learn(statement.id, statement);
    }
  }

  get isSealed(): boolean {
    return this.profile.isSealed;
  }

  get memoryChunks(): number {
    return this.profile.memoryChunks;
  }

  get readaheadChunks(): number {
    return this.profile.readaheadChunks;
  }

  get processes(): Process[] {
    return this.hosts.flatMap(({ process }) => process ?? []);
  }

  /** @throws CopseError where there is no such host */
  host(id: string): Host {
    const host = this.#hostById.get(id);
    if (host === undefined) throw new CopseError(foreignErrorCode('ERR_SIMULATION'), `no host ${id}`);
    return host;
  }

  addHost(): Host {
    const { chance, profile, image } = this;
    const host: Host = {
      id: `n${String(this.hosts.length).padStart(3, '0')}`,
      isSilent: false,
      slowness: 1,
      disk: emptyDisk(image),
      process: undefined,
      // The first one can always be home.
      donatedBytes: this.hosts.length > 0 && chance.happens(0.1) ? 0 : Math.ceil(chance.between(...profile.cacheChunks)) * chunkBytes,
      isDraining: false,
      lies: false,
      hasLied: false,
      provenance: new Map(),
    };
    this.hosts.push(host);
    this.#hostById.set(host.id, host);
    return host;
  }

  /** @param cache what it finds on its disk */
  start(host: Host, cache: 'kept' | 'lost' = 'kept'): void {
    if (cache === 'lost') host.disk = emptyDisk(this.image);
    else afterUncleanEnd(host.disk);
    host.process = new Process(this, host, ++this.#starts);
    this.tell(host.id, this.processes);
  }

  end(host: Host): void {
    const { process } = host;
    if (process === undefined) return;
    host.process = undefined;
    process.end();
    this.#memberships.delete(process);
    this.#told.delete(process);
    this.tell(host.id, this.processes);
  }

  /** A new host, which the others hear of at different moments. */
  join(): Host {
    const host = this.addHost();
    for (const [process, membership] of this.#memberships) {
      this.schedule.at(this.chance.between(0, 3000), () => membership.add(host.id), process);
    }
    this.start(host);
    return host;
  }

  neighbourhoodOf(process: Process): LiveNeighbourhood {
    const { schedule, chance, profile } = this;
    if (!profile.isProbed) {
      const neighbourhood = new ToldNeighbourhood(process);
      this.#told.set(process, neighbourhood);
      for (const { id } of this.hosts) if (id !== process.id) this.tell(id, [process], 500);
      return neighbourhood;
    }
    const membership = new GrowingMembership(this.hosts.flatMap(({ id }) => (id === process.id ? [] : { address: id })));
    this.#memberships.set(process, membership);
    return new LiveCluster({
      membership,
      self: () => process.statement,
      openProbe: (address, onLost) => new WireProbe(process, address, onLost),
      openPeer: (id) => new WirePeer(process, id),
      clock: schedule.clockOf(process),
      random: chance.next,
      log: silentLogger,
      pingIntervalMs: profile.pingIntervalMs,
    });
  }

  /** Something of a host has changed: who is told, learns of it, each at another moment. */
  tell(hostId: string, processes: readonly Process[], withinMs = 2500): void {
    if (this.profile.isProbed || this.schedule.eventCount === 0) return;
    const host = this.host(hostId);
    for (const process of processes) {
      if (process.id === hostId) continue;
      const learn = (): void => {
        this.#told.get(process)?.learn(hostId, host.isSilent || host.process?.isStopped ? undefined : host.process?.statement);
      };
      this.schedule.at(this.chance.between(50, withinMs), learn, process);
    }
  }

  told(process: Process): void {
    this.tell(process.id, this.processes);
  }

  /** Something happens, or ends, between these hosts; without any, to all. */
  trouble(what: string, ...hostIds: readonly string[]): void {
    const { nowMs } = this.schedule;
    this.trace.add(`* ${what} ${hostIds.join(' ')}`);
    this.lastTroubleMs = nowMs;
    for (const id of hostIds.length === 0 ? this.#hostById.keys() : hostIds) this.#troubledAtMs.set(id, nowMs);
  }

  /** When something last happened to either. */
  troubledAtMs(left: Host, right: Host): number {
    return Math.max(
      this.#troubledAtMs.get(left.id) ?? Number.NEGATIVE_INFINITY,
      this.#troubledAtMs.get(right.id) ?? Number.NEGATIVE_INFINITY,
    );
  }

  /** Other bytes than the right ones, where that would be found out. */
  lieOf(host: Host, right: Buffer): Buffer {
    if (!this.chance.happens(0.5)) return right;
    host.hasLied = true;
    this.trace.add(`${host.id} lies`);
    if (!this.isSealed || this.chance.happens(0.3)) throw new CopseError('ERR_NBD_PROTOCOL', 'a short answer');
    const wrong = Buffer.from(right);
    const at = this.chance.below(wrong.length);
    wrong[at] = (wrong[at] ?? 0) ^ (1 << this.chance.below(8));
    return wrong;
  }
}
