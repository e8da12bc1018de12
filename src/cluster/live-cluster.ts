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
import { MemberVerdict, type Verdict } from './health/member-verdict.js';
import { type MemberView, memberView } from './health/member-view.js';
import type { OpenProbe } from './health/probe.js';
import { type LiveNode, View } from './health/view.js';
import { Watch, type WatchTimes } from './health/watch.js';
import type { Membership } from './membership/membership.js';
import type { Neighbourhood, WeightedNode } from './neighbourhood.js';
import type { NodeStatement } from './node.js';
import type { Peer } from './peer.js';

/** A peer that the live cluster can declare gone. */
export interface LivePeer extends Peer {
  /**
   * Fails everything that waits for the peer, and all later requests, with `ERR_PEER_GONE`. @param
   * reason for people
   */
  destroy(reason: string): void;
}

export type OpenPeer = (id: string, address: string) => LivePeer;

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

export const defaultTimes: WatchTimes = {
  pingIntervalMs: 1000,
  pingTimeoutMs: 2000,
  suspectTimeoutMs: 1000,
  backoffMinMs: 250,
  backoffMaxMs: 2000,
};

interface Member {
  address: string;
  /** Start of the peer's process; another start is another peer. */
  startedAt: string;
  token: string;
  peer: LivePeer;
}

export class LiveCluster implements Neighbourhood, Closeable {
  readonly selfId: string;
  readonly #options: LiveClusterOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** Watches by address, in the order in which they came. */
  readonly #watches = new Map<string, Watch>();
  readonly #memberVerdict = new MemberVerdict();
  #verdicts: ReadonlyMap<string, Verdict> = new Map();
  /** Members by id. */
  readonly #members = new Map<string, Member>();
  readonly #view = new View();
  readonly #listeners = new Set<() => void>();
  readonly #returnListeners = new Set<(id: string, isFirst: boolean) => void>();
  /** Ids of members that have come back in this turn. */
  #returned: { id: string; isFirst: boolean }[] = [];
  /** Ids of all nodes that ever were members. */
  readonly #met = new Set<string>();
  readonly #startMs: number;
  readonly #endMembership: () => void;
  #revision = 0;
  #isCutOff = false;
  #onReady: (() => void) | undefined;
  readonly #ready: Promise<void>;

  /** Begins to ping at once. */
  constructor(options: LiveClusterOptions) {
    const { membership, clock = systemClock, log = silentLogger } = options;
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
    this.#startMs = clock.nowMs();
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
    return this.#members.get(id)?.peer;
  }

  suspect(id: string): void {
    const member = this.#members.get(id);
    if (member !== undefined) this.#watches.get(member.address)?.suspect();
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
    if (this.#members.has(id)) return 0;
    const watches = [...this.#watches.values()].filter(({ lastStatement }) => lastStatement?.id === id);
    if (watches.length === 0) return this.#clock.nowMs() - this.#startMs;
    return Math.min(...watches.map(({ silentMs }) => silentMs));
  }

  /**
   * Pings all members that are not up once, without delay. Resolves when each has answered or
   * failed to.
   */
  async look(): Promise<void> {
    await Promise.all([...this.#watches.values()].map((watch) => watch.look()));
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
    await Promise.all([...this.#watches.values()].map((watch) => watch.refresh()));
  }

  /** Pings an address that membership names, now. Resolves with or without an answer. */
  async meet(address: string): Promise<void> {
    await this.#watches.get(address)?.meet();
  }

  /** Tells that this node's statement has changed. */
  selfChanged(): void {
    this.#assess();
  }

  /** All expected members, this node first, then by id. */
  members(): MemberView[] {
    const { id, address, version, donatedBytes, usedBytes } = this.#options.self();
    const seedIds = new Map(this.#options.membership.seeds.map((seed) => [seed.address, seed.id]));
    const others = [...this.#watches.values()].flatMap((watch) => {
      const verdict = this.#verdicts.get(watch.address);
      return verdict === undefined ? [] : (memberView(watch, verdict, seedIds.get(watch.address)) ?? []);
    });
    others.sort((left, right) => compare(left.id, right.id));
    return [{ id, address, state: 'self', version, donatedBytes, usedBytes }, ...others];
  }

  close(): void {
    this.#endMembership();
    for (const watch of this.#watches.values()) watch.close();
    this.#watches.clear();
    for (const id of [...this.#members.keys()]) this.#part(id, 'this node stops');
    this.#onReady?.();
  }

  /**
   * Follows a change of membership: watches new addresses, and drops removed ones unless they are
   * well.
   */
  #follow(): void {
    const { membership, openProbe, random = Math.random } = this.#options;
    for (const { address } of membership.seeds) {
      if (this.#watches.has(address)) continue;
      const watch = new Watch({
        ...defaultTimes,
        ...this.#givenTimes(),
        address,
        openProbe,
        clock: this.#clock,
        random,
        onChange: () => this.#assess(),
      });
      this.#watches.set(address, watch);
    }
    this.#assess();
  }

  #givenTimes(): Partial<WatchTimes> {
    const given = Object.keys(defaultTimes).flatMap((key) => {
      const value = this.#options[key as keyof WatchTimes];
      return value === undefined ? [] : [[key, value]];
    });
    return Object.fromEntries(given);
  }

  /** Draws the conclusions from everything that is known now. */
  #assess(): void {
    const before = this.#verdicts;
    const entries = [...this.#watches.values()].map(({ address, state }) => ({ address, state }));
    this.#verdicts = this.#memberVerdict.judge(this.#options.self(), entries);
    this.#forgetStrays();
    let changed = this.#meetAndPart();
    changed = this.#view.update(this.#liveNodes()) || changed;
    const kinds = [...this.#verdicts.values()].map(({ kind }) => kind);
    const isCutOff = kinds.includes('down') && !kinds.includes('member') && !kinds.includes('new');
    changed ||= isCutOff !== this.#isCutOff;
    this.#isCutOff = isCutOff;
    for (const [address, verdict] of this.#verdicts) this.#logChange(address, before.get(address), verdict);
    if (!kinds.includes('new')) this.#onReady?.();
    for (const { id, isFirst } of this.#returned.splice(0)) {
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
      this.#watches.get(address)?.close();
      this.#watches.delete(address);
      verdicts.delete(address);
    }
    this.#verdicts = verdicts;
  }

  /** @returns true if a member came, went, or began anew */
  #meetAndPart(): boolean {
    const live = new Map<string, { address: string; statement: NodeStatement }>();
    for (const [address, verdict] of this.#verdicts) {
      if (verdict.kind === 'member') live.set(verdict.statement.id, { address, statement: verdict.statement });
    }
    let changed = false;
    for (const [id, { address, startedAt, token }] of [...this.#members]) {
      const now = live.get(id);
      if (now === undefined) this.#part(id, this.#reasonOf(address));
      else if (now.address !== address) this.#part(id, `it is at ${now.address} now`);
      else if (now.statement.startedAt !== startedAt || now.statement.token !== token) this.#part(id, 'it was started anew');
      else continue;
      changed = true;
    }
    for (const [id, { address, statement }] of live) {
      if (this.#members.has(id)) continue;
      const { startedAt, token } = statement;
      const { pingTimeoutMs = defaultTimes.pingTimeoutMs } = this.#options;
      const silenceMs = this.#watches.get(address)?.silenceMs ?? 0;
      if (!this.#met.has(id) || silenceMs >= pingTimeoutMs) this.#returned.push({ id, isFirst: this.#members.size === 0 });
      this.#met.add(id);
      this.#members.set(id, { address, startedAt, token, peer: this.#options.openPeer(id, address) });
      changed = true;
    }
    return changed;
  }

  #reasonOf(address: string): string {
    const verdict = this.#verdicts.get(address);
    return verdict !== undefined && 'message' in verdict ? verdict.message : 'it left';
  }

  #part(id: string, reason: string): void {
    this.#members.get(id)?.peer.destroy(reason);
    this.#members.delete(id);
  }

  #liveNodes(): LiveNode[] {
    const nodes: LiveNode[] = [{ statement: this.#options.self(), peer: undefined }];
    for (const { address, peer } of this.#members.values()) {
      const verdict = this.#verdicts.get(address);
      if (verdict?.kind === 'member') nodes.push({ statement: verdict.statement, peer });
    }
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
