/**
 * The cluster as it answers. It pings the nodes that membership names. It tells which of them are
 * well, what they serve, and which can be home.
 *
 * Invariants: a peer that is handed out answered its last ping. Once it does not, all requests that
 * wait for it fail at once (`ERR_PEER_GONE`). A node that membership no longer names stays as long
 * as it answers and says that it is in this cluster.
 */
import { type Clock, systemClock } from '../base/clock.js';
import type { Closeable } from '../base/lifecycle.js';
import { type Logger, silentLogger } from '../base/log.js';
import { MemberTable, type OpenPeer } from './health/member-table.js';
import { MemberVerdict, type Verdict } from './health/member-verdict.js';
import { type MemberView, memberView } from './health/member-view.js';
import type { OpenProbe } from './health/probe.js';
import { type LiveNode, View } from './health/view.js';
import type { WatchTimes } from './health/watch.js';
import { defaultTimes, WatchSet } from './health/watch-set.js';
import type { Membership } from './membership/membership.js';
import type { Neighbourhood, WeightedNode } from './neighbourhood.js';
import type { NodeStatement } from './node.js';
import type { Peer } from './peer.js';

export interface LiveClusterOptions extends Partial<WatchTimes> {
  membership: Membership;
  /** This node's present statement. Call `selfChanged` after a change of it. */
  self: () => NodeStatement;
  openProbe: OpenProbe;
  openPeer: OpenPeer;
  clock?: Clock | undefined;
  random?: (() => number) | undefined;
  log?: Logger | undefined;
}

export class LiveCluster implements Neighbourhood, Closeable {
  readonly selfId: string;
  readonly #options: LiveClusterOptions;
  readonly #log: Logger;
  readonly #watches: WatchSet;
  readonly #memberVerdict = new MemberVerdict();
  #verdicts: ReadonlyMap<string, Verdict> = new Map();
  readonly #members: MemberTable;
  readonly #view = new View();
  readonly #listeners = new Set<() => void>();
  readonly #returnListeners = new Set<(id: string, isFirst: boolean) => void>();
  readonly #endMembership: () => void;
  #revision = 0;
  #isCutOff = false;
  #onReady: (() => void) | undefined;
  readonly #ready: Promise<void>;

  /** Begins to ping at once. */
  constructor(options: LiveClusterOptions) {
    const { membership, openPeer, clock = systemClock, random = Math.random, log = silentLogger } = options;
    const { pingTimeoutMs = defaultTimes.pingTimeoutMs } = options;
    this.#options = options;
    this.#log = log;
    this.#watches = new WatchSet({ ...options, clock, random, onChange: () => this.#assess() });
    this.#members = new MemberTable({ openPeer, pingTimeoutMs, silenceMs: (address) => this.#watches.of(address)?.silenceMs ?? 0 });
    this.selfId = options.self().id;
    this.#ready = new Promise((resolve) => {
      this.#onReady = resolve;
    });
    this.#endMembership = membership.onChange(() => this.#follow());
    this.#follow();
  }

  get revision(): number {
    return this.#revision;
  }

  get isCutOff(): boolean {
    return this.#isCutOff;
  }

  homesOf(contentId: string): readonly WeightedNode[] {
    return this.#view.homesOf(contentId);
  }

  formerHomesOf(contentId: string): readonly (readonly WeightedNode[])[] {
    return this.#view.formerHomesOf(contentId);
  }

  holdersOf(contentId: string): readonly Peer[] {
    return this.#view.holdersOf(contentId);
  }

  peer(id: string): Peer | undefined {
    return this.#members.peer(id);
  }

  suspect(id: string): void {
    const address = this.#members.addressOf(id);
    if (address !== undefined) this.#watches.of(address)?.suspect();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Calls back if a member answers that was silent for longer than a ping's timeout, or that was
   * never heard.
   *
   * `isFirst`: true if no other member was up. It is called in the turn of the answer.
   *
   * @returns a function that ends it
   */
  onReturn(listener: (id: string, isFirst: boolean) => void): () => void {
    this.#returnListeners.add(listener);
    return () => this.#returnListeners.delete(listener);
  }

  /**
   * Silence of a member, in ms: 0 while it is up; time since the start of this node if it was never
   * heard.
   */
  silentMs(id: string): number {
    return this.#members.has(id) ? 0 : this.#watches.silentMs(id);
  }

  /**
   * Pings all members that are not up once, without delay. Resolves when each has answered or
   * failed to.
   */
  async look(): Promise<void> {
    await this.#watches.each((watch) => watch.look());
  }

  /**
   * Resolves when each member that membership names by then has answered, or failed to, once; or on
   * close.
   */
  ready(): Promise<void> {
    return this.#ready;
  }

  /** Resolves when all members that are up have told anew what they serve, or failed to in time. */
  async refresh(): Promise<void> {
    await this.#watches.each((watch) => watch.refresh());
  }

  /** Pings an address that membership names, now. Resolves with or without an answer. */
  async meet(address: string): Promise<void> {
    await this.#watches.of(address)?.meet();
  }

  /** Tells that this node's statement has changed. */
  selfChanged(): void {
    this.#assess();
  }

  /** All expected members, this node first, then by id. */
  members(): MemberView[] {
    const { id, address, version, donatedBytes, usedBytes } = this.#options.self();
    const seedIds = new Map(this.#options.membership.seeds.map((seed) => [seed.address, seed.id]));
    const others = [...this.#watches].flatMap((watch) => {
      const verdict = this.#verdicts.get(watch.address);
      return verdict === undefined ? [] : (memberView(watch, verdict, seedIds.get(watch.address)) ?? []);
    });
    others.sort((left, right) => compare(left.id, right.id));
    return [{ id, address, state: 'self', version, donatedBytes, usedBytes }, ...others];
  }

  close(): void {
    this.#endMembership();
    this.#watches.close();
    this.#members.close('this node stops');
    this.#onReady?.();
  }

  /**
   * Follows a change of membership: watches new addresses, and drops removed ones unless they are
   * well.
   */
  #follow(): void {
    for (const { address } of this.#options.membership.seeds) this.#watches.add(address);
    this.#assess();
  }

  /** Draws the conclusions from everything that is known now. */
  #assess(): void {
    const before = this.#verdicts;
    const entries = [...this.#watches].map(({ address, state }) => ({ address, state }));
    this.#verdicts = this.#memberVerdict.judge(this.#options.self(), entries);
    this.#forgetStrays();
    let changed = this.#members.update(this.#verdicts);
    changed = this.#view.update(this.#liveNodes()) || changed;
    const kinds = [...this.#verdicts.values()].map(({ kind }) => kind);
    const isCutOff = kinds.includes('down') && !kinds.includes('member') && !kinds.includes('new');
    changed ||= isCutOff !== this.#isCutOff;
    this.#isCutOff = isCutOff;
    for (const [address, verdict] of this.#verdicts) this.#logChange(address, before.get(address), verdict);
    if (!kinds.includes('new')) this.#onReady?.();
    for (const { id, isFirst } of this.#members.takeReturned()) {
      for (const listener of [...this.#returnListeners]) listener(id, isFirst);
    }
    if (!changed) return;
    this.#revision += 1;
    for (const listener of [...this.#listeners]) listener();
  }

  /** Drops nodes that membership no longer names and that are no members. */
  #forgetStrays(): void {
    const named = new Set(this.#options.membership.seeds.map(({ address }) => address));
    const verdicts = new Map(this.#verdicts);
    for (const [address, verdict] of verdicts) {
      if (named.has(address) || verdict.kind === 'member') continue;
      this.#watches.remove(address);
      verdicts.delete(address);
    }
    this.#verdicts = verdicts;
  }

  #liveNodes(): LiveNode[] {
    const nodes: LiveNode[] = [{ statement: this.#options.self(), peer: undefined }, ...this.#members.liveNodes(this.#verdicts)];
    return nodes.sort((left, right) => compare(left.statement.id, right.statement.id));
  }

  #logChange(address: string, before: Verdict | undefined, verdict: Verdict): void {
    if (before?.kind === verdict.kind) return;
    if (verdict.kind === 'member') this.#log.info({ peer: verdict.statement.id, address }, 'peer is up');
    else if (verdict.kind === 'down') this.#log.warn({ address, reason: verdict.message }, 'peer is down');
    else if ('message' in verdict && verdict.kind !== 'new') {
      this.#log.warn({ address, reason: verdict.message }, 'a node that was named as a peer is not used');
    }
  }
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
