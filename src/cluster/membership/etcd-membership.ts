/**
 * The expected members as etcd tells them: one record per node, under a lease, watched.
 *
 * A node that says that it leaves, or that it is in another cluster, goes at once. A node whose
 * record only vanished (its lease ran out, etcd was wiped, it is cut off from etcd) stays for
 * `graceMs`, and then for as long as `isLive` says that it answers. Meanwhile health decides if it
 * is asked. While etcd is away no node goes.
 *
 * Invariants: `seeds` and `nodes` never wait for etcd. The view is in a file, so a start without
 * etcd begins with the last one.
 */
import { type Clock, systemClock } from '../../base/clock.js';
import { errorMessage } from '../../base/error.js';
import type { EtcdClient, EtcdEntry } from '../../base/etcd/client.js';
import { EtcdMirror } from '../../base/etcd/mirror.js';
import type { Logger } from '../../base/log.js';
import type { NodeRecord } from '../node.js';
import { type EtcdNode, parseEtcdNode } from './etcd-record.js';
import { EtcdRegistration } from './etcd-registration.js';
import type { Membership, MembershipStatus, Seed } from './membership.js';
import { readNodeView, writeNodeView } from './node-view.js';

export interface EtcdMembershipOptions {
  client: EtcdClient;
  /** Prefix of the keys without a closing slash, as in `/copse`. */
  prefix: string;
  id: string;
  /** Token of the node's identity. */
  token: string;
  /** Path of the file with the last known view. */
  viewPath: string;
  log: Logger;
  clock?: Clock | undefined;
  /** Time that etcd keeps the record of a dead node, in s; default 10. */
  ttlSeconds?: number | undefined;
  /** Time that a node whose record vanished is kept, in ms; default 60 s. */
  graceMs?: number | undefined;
  /** Time between two comparisons of the watch with etcd, in ms; default 5 s. */
  checkMs?: number | undefined;
}

interface Known {
  record: NodeRecord;
  /** Time since which it has no record in etcd, in ms. */
  vanishedAtMs: number | undefined;
}

export class EtcdMembership implements Membership {
  readonly #options: EtcdMembershipOptions;
  readonly #clock: Clock;
  readonly #mirror: EtcdMirror;
  readonly #registration: EtcdRegistration;
  readonly #known = new Map<string, Known>();
  /** Parsed entries, by the entry itself, so that each is read, and complained of, once. */
  readonly #parsed = new WeakMap<EtcdEntry, EtcdNode | undefined>();
  readonly #listeners = new Set<() => void>();
  #self: NodeRecord | undefined;
  #seeds: readonly Seed[] = [];
  #isLive: (id: string) => boolean = () => false;
  #writtenView = '';
  #cancelGrace: (() => void) | undefined;

  constructor(options: EtcdMembershipOptions) {
    const { client, prefix, id, token, viewPath, log, clock = systemClock, ttlSeconds = 10, checkMs } = options;
    this.#options = options;
    this.#clock = clock;
    const nodesPrefix = `${prefix}/nodes/`;
    this.#mirror = new EtcdMirror({ client, prefix: nodesPrefix, log, clock, checkMs });
    this.#registration = new EtcdRegistration({ client, key: `${nodesPrefix}${id}`, id, token, ttlSeconds, clock, log });
    for (const record of readNodeView(viewPath, log)) {
      if (record.id !== id) this.#known.set(record.id, { record, vanishedAtMs: undefined });
    }
  }

  get seeds(): readonly Seed[] {
    return this.#seeds;
  }

  /** The other nodes of all clusters, sorted by id; the last known ones while etcd is away. */
  get allNodes(): readonly NodeRecord[] {
    return [...this.#known.values()].map(({ record }) => record).sort((left, right) => (left.id < right.id ? -1 : 1));
  }

  get status(): MembershipStatus {
    const { failure } = this.#mirror;
    const messages = [this.#registration.failure, failure === undefined ? undefined : `the last known view is in force: ${failure}`];
    const [message] = messages.filter((text) => text !== undefined);
    return { kind: 'etcd', well: message === undefined, message };
  }

  /**
   * Keeps nodes whose records vanished for as long as `isLive` says that they answer and are in
   * this cluster.
   */
  keepWhile(isLive: (id: string) => boolean): void {
    this.#isLive = isLive;
  }

  /** Begins to follow etcd. Resolves to true if its view was loaded in time. It goes on trying. */
  async load(timeoutMs = 3000): Promise<boolean> {
    this.#mirror.onChange(() => this.#follow());
    this.#mirror.start();
    return this.#mirror.loaded(timeoutMs);
  }

  /** Brings `allNodes` up to date with etcd's present content. @throws EtcdError */
  async refresh(): Promise<void> {
    await this.#mirror.refresh();
  }

  /**
   * Registers this node, and follows its cluster. If etcd does not answer in time, it returns and
   * goes on trying.
   *
   * @throws CopseError `ERR_NODE_ID` if another node has the id
   */
  async join(record: NodeRecord, timeoutMs = 3000): Promise<void> {
    this.#self = record;
    this.#settle();
    await this.#registration.register(record, timeoutMs);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  announce(record: NodeRecord): void {
    this.#self = record;
    this.#registration.update(record);
    this.#settle();
  }

  /** Leaves on purpose. Takes at most 2 s, whatever etcd does. */
  async close(): Promise<void> {
    this.#listeners.clear();
    this.#cancelGrace?.();
    this.#mirror.close();
    await this.#registration.leave();
  }

  #follow(): void {
    // An old view tells nothing new.
    if (this.#mirror.isLoaded && this.#mirror.failure === undefined) {
      this.#registration.observe(this.#mirror.entries.get(this.#options.id));
      this.#learn();
    }
    this.#settle();
  }

  #learn(): void {
    const present = new Set<string>();
    for (const [id, entry] of this.#mirror.entries) {
      const node = id === this.#options.id ? undefined : this.#parse(id, entry);
      if (node === undefined) continue;
      if (node.kind === 'left') {
        this.#known.delete(id);
      } else {
        present.add(id);
        this.#known.set(id, { record: node.record, vanishedAtMs: undefined });
      }
    }
    const nowMs = this.#clock.nowMs();
    for (const [id, known] of this.#known) {
      if (present.has(id)) continue;
      if (known.vanishedAtMs === undefined)
        this.#options.log.info({ node: id }, "a node's record has vanished from etcd: it is kept for a while");
      known.vanishedAtMs ??= nowMs;
    }
  }

  #parse(id: string, entry: EtcdEntry): EtcdNode | undefined {
    if (this.#parsed.has(entry)) return this.#parsed.get(entry);
    let node: EtcdNode | undefined;
    try {
      node = parseEtcdNode(id, entry.value);
    } catch (error) {
      this.#options.log.error({ node: id, reason: errorMessage(error) }, 'a node is passed over: its record in etcd is broken');
    }
    this.#parsed.set(entry, node);
    return node;
  }

  /** Drops nodes whose time is over, and reports changes. */
  #settle(): void {
    this.#expire();
    const { viewPath, log } = this.#options;
    const nodes = this.allNodes;
    const view = JSON.stringify(nodes);
    if (view !== this.#writtenView && this.#mirror.isLoaded) {
      this.#writtenView = view;
      writeNodeView(viewPath, nodes, log);
    }
    const self = this.#self;
    const seeds = nodes
      .filter(({ cluster, address }) => cluster === self?.cluster && address !== self.address)
      .map(({ id, address }): Seed => ({ id, address }));
    if (JSON.stringify(seeds) === JSON.stringify(this.#seeds)) return;
    this.#seeds = seeds;
    for (const listener of [...this.#listeners]) listener();
  }

  #expire(): void {
    const { graceMs = 60_000, log } = this.#options;
    this.#cancelGrace?.();
    this.#cancelGrace = undefined;
    if (this.#mirror.failure !== undefined) return;
    const nowMs = this.#clock.nowMs();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [id, known] of this.#known) {
      if (known.vanishedAtMs === undefined) continue;
      const leftMs = known.vanishedAtMs + graceMs - nowMs;
      if (leftMs > 0) {
        nextMs = Math.min(nextMs, leftMs);
      } else if (this.#isLive(id)) {
        nextMs = Math.min(nextMs, graceMs);
      } else {
        this.#known.delete(id);
        log.info({ node: id }, 'a node is gone from the membership: its record did not come back');
      }
    }
    if (Number.isFinite(nextMs)) this.#cancelGrace = this.#clock.after(nextMs, () => this.#settle());
  }
}
