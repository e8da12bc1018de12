/**
 * Watches every request and holds it against the rules: no request causes one that could come back, the origin is asked for nothing that a connected holder has, and guests get right
 * bytes in time.
 *
 * The rule of the origin has exceptions. Each must have its reason in what happened before, or it is a violation; those that have one are counted by it.
 */

import { chunkBytes } from './image.js';
import type { PeerAsk, Process } from './process.js';
import type { World } from './world.js';

/** So long after the last trouble between two nodes they must know each other. */
const settleMs = 15_000;
/** So long after a change two nodes may have been home to one chunk. */
const upheavalMs = 30_000;
/** Of a home. */
const longestReadMs = 20_000;
/** From arriving to being on the disk. */
const storeMs = 100;

interface Survey {
  of: Process | undefined;
  answeredAtMs: number | undefined;
  hasArrived: boolean;
}

/** How a node came by a chunk. */
interface Provenance {
  from: string;
  askedAtMs: number;
  atMs: number;
}

interface Request extends PeerAsk {
  process: Process;
  peerId: string;
  startMs: number;
  deliveredBytes: number;
}

export class Inspector {
  readonly violations: string[] = [];
  /** The last lines before the first violation that are about it. */
  story: string[] = [];
  /** Chunks that were asked of the origin while somebody had them, by why. */
  readonly excused = new Map<string, number>();
  readonly counts = { home: 0, held: 0, homeReads: 0, heldReads: 0, surveys: 0, guestReads: 0, guestErrors: 0, guestAborts: 0 };
  readonly sentBy = new Map<Process, number>();
  readonly #world: World;
  readonly #pending = new Set<Request>();
  readonly #surveys = new Map<Process, Map<string, Survey>>();
  /** When a holder failed to give a chunk, by process and `peer chunk`; and when it failed otherwise than by not having it, by `peer`. */
  readonly #failures = new Map<Process, Map<string, number>>();

  constructor(world: World) {
    this.#world = world;
  }

  get pendingRequests(): Request[] {
    return [...this.#pending].filter(({ process }) => !process.hasEnded && !process.isStopped);
  }

  violate(what: string): void {
    this.violations.push(`at ${this.#world.schedule.nowMs.toFixed(3)} ms: ${what}`);
    this.#world.trace.add(`VIOLATION ${what}`);
    if (this.violations.length > 1) return;
    const ids = what.match(/\bn\d{3}\b/g) ?? [];
    this.story = this.#world.trace.about([...new Set(ids)], 80);
  }

  /** A request is about to leave. */
  asks(process: Process, peerId: string, role: 'home' | 'held'): void {
    const { hops = [], path } = this.#world.schedule.causes.getStore() ?? {};
    const way = [...hops, `${role}@${peerId}`].join(' → ');
    this.counts[role] += 1;
    const isAfterHome = hops.some((hop) => hop.startsWith('home@'));
    const isAfterHeld = hops.some((hop) => hop.startsWith('held@'));
    if (isAfterHeld) this.violate(`a request for what is held causes another: ${way}`);
    if (role === 'home' && (isAfterHome || path === 'home')) this.violate(`a home asks a home: ${way}`);
    if (role === 'held' && path !== 'home') this.violate(`holders are asked by who is no home: ${way}`);
    if (hops.length > 2) this.violate(`too many hops: ${way}`);
    if (peerId === process.id) this.violate(`a node asks itself: ${way}`);
  }

  requests(
    process: Process,
    peerId: string,
    ask: PeerAsk,
  ): { delivered(lengthBytes: number): void; ended(code: string | undefined): void } {
    const { schedule, trace } = this.#world;
    this.asks(process, peerId, ask.role);
    this.counts[ask.role === 'home' ? 'homeReads' : 'heldReads'] += 1;
    const request: Request = { ...ask, process, peerId, startMs: schedule.nowMs, deliveredBytes: 0 };
    this.#pending.add(request);
    const name = `${process.id} ${ask.role} of ${peerId} ${ask.offset / chunkBytes}+${ask.lengthBytes / chunkBytes}`;
    trace.add(name);
    return {
      delivered: (lengthBytes) => {
        const before = request.deliveredBytes;
        request.deliveredBytes += lengthBytes;
        for (let chunk = Math.floor(before / chunkBytes); (chunk + 1) * chunkBytes <= request.deliveredBytes; chunk += 1) {
          const provenance = { from: peerId, askedAtMs: request.startMs, atMs: schedule.nowMs };
          process.host.provenance.set(ask.offset / chunkBytes + chunk, provenance);
        }
      },
      ended: (code) => {
        this.#pending.delete(request);
        trace.add(`${name}: ${code ?? 'done'}`);
        if (code === undefined || code === 'ERR_ABORTED') return;
        const failures = this.#failures.get(process) ?? new Map<string, number>();
        this.#failures.set(process, failures);
        if (code !== 'ERR_PEER_ABSENT') failures.set(peerId, schedule.nowMs);
        for (const chunk of this.#world.image.chunksOf(ask.offset, ask.lengthBytes)) failures.set(`${peerId} ${chunk}`, schedule.nowMs);
      },
    };
  }

  /** Of all of the content: what is asked of a part corrects a hint that failed, which is known here. */
  surveys(process: Process, peerId: string, lengthBytes: number): { answered(): void; arrived(): void } {
    const survey: Survey = { of: undefined, answeredAtMs: undefined, hasArrived: false };
    const surveys = this.#surveys.get(process) ?? new Map<string, Survey>();
    this.#surveys.set(process, surveys);
    if (lengthBytes === this.#world.image.sizeBytes) surveys.set(peerId, survey);
    this.counts.surveys += 1;
    return {
      answered: () => {
        survey.of = this.#world.host(peerId).process;
        survey.answeredAtMs = this.#world.schedule.nowMs;
      },
      arrived: () => {
        survey.hasArrived = true;
      },
    };
  }

  sent(process: Process, chunk: number): void {
    const { nowMs } = this.#world.schedule;
    this.sentBy.set(process, (this.sentBy.get(process) ?? 0) + 1);
    process.host.provenance.set(chunk, { from: 'origin', askedAtMs: nowMs, atMs: nowMs });
    this.#world.trace.add(`origin sends ${chunk} to ${process.id}`);
  }

  /** A home has decided that nobody but the origin can give it these. */
  originAsked(process: Process, offset: number, lengthBytes: number): void {
    const { schedule, trace, image } = this.#world;
    const { hops = [], path } = schedule.causes.getStore() ?? {};
    const name = `${process.id} asks the origin for ${offset / chunkBytes}+${lengthBytes / chunkBytes}`;
    trace.add(name);
    if (path !== 'home' || hops.some((hop) => hop.startsWith('held@'))) this.violate(`${name} on the way ${hops.join(' → ')}`);
    for (const request of this.#pending) {
      if (request.process !== process || request.role !== 'held') continue;
      const isOverlapping = request.offset < offset + lengthBytes && offset < request.offset + request.lengthBytes;
      if (isOverlapping && request.offset + request.deliveredBytes <= offset) this.violate(`${name} while it waits for ${request.peerId}`);
    }
    for (const chunk of image.chunksOf(offset, lengthBytes)) this.#holdAgainstRule(process, chunk);
  }

  #holdAgainstRule(home: Process, chunk: number): void {
    const { network, hosts, profile } = this.#world;
    const reasons = new Map<string, string>();
    for (const host of hosts) {
      const { process: holder } = host;
      if (holder === undefined || holder === home || holder.isStopped || !holder.store.couldServe(chunk)) continue;
      if (!network.isOpen(home.host, host) || !network.isOpen(host, home.host)) continue;
      const excuse = this.#excuse(home, holder, chunk);
      if (excuse.isGood) reasons.set(excuse.why, host.id);
      else this.violate(`${home.id} asks the origin for ${chunk}, which ${host.id} holds: ${excuse.why}`);
    }
    for (const [why, holderId] of reasons) {
      this.excused.set(why, (this.excused.get(why) ?? 0) + 1);
      if (profile.isCalm)
        this.violate(`${home.id} asks the origin for ${chunk}, which ${holderId} holds (${why}), though nothing has happened`);
    }
  }

  #excuse(home: Process, holder: Process, chunk: number): { why: string; isGood: boolean } {
    const { schedule } = this.#world;
    const { id } = holder;
    const { knowledge, trust } = home.clustered;
    const quietMs = schedule.nowMs - this.#world.troubledAtMs(home.host, holder.host);
    if (home.neighbourhood.peer(id) === undefined) return { why: 'it is not seen yet', isGood: quietMs < settleMs };
    if (!trust.isTrusted(id)) return { why: 'it was set aside', isGood: holder.host.hasLied };
    if (home.breakerOf(id).state !== 'closed') return { why: 'its breaker is open', isGood: true };
    const failedAtMs = Math.max(this.#failures.get(home)?.get(id) ?? Number.NEGATIVE_INFINITY, home.breakerOpenAtMs.get(id) ?? 0);
    // A read passes over who failed it, and may take so long.
    if (failedAtMs > 0 && schedule.nowMs - failedAtMs < longestReadMs) return { why: 'it failed shortly before', isGood: true };
    if (knowledge.map.holders(chunk).includes(id)) return { why: 'though that is known', isGood: false };
    const survey = this.#surveys.get(home)?.get(id);
    const provenance: Provenance | undefined = holder.host.provenance.get(chunk);
    const gotAtMs = provenance?.atMs ?? Number.NEGATIVE_INFINITY;
    if ((this.#failures.get(home)?.get(`${id} ${chunk}`) ?? -1) >= gotAtMs) return { why: 'it failed to give it', isGood: true };
    if ((home.breakerOpenAtMs.get(id) ?? -1) >= gotAtMs) return { why: 'its breaker was open', isGood: true };
    if (survey?.hasArrived !== true || survey.of !== holder) {
      return {
        why: 'it did not say what it holds',
        isGood: survey !== undefined && survey.of !== holder ? quietMs < upheavalMs : survey !== undefined,
      };
    }
    const surveyedAtMs = survey.answeredAtMs ?? 0;
    if (surveyedAtMs > gotAtMs + storeMs) return { why: 'though it said so', isGood: false };
    if (provenance?.from === home.id && gotAtMs > holder.startedAtMs)
      return { why: 'though it has it from there', isGood: home.startedAtMs > provenance.askedAtMs };
    // Who set a liar aside goes to the next home, and others may still go to the liar, or have set aside another.
    const upheaval =
      this.#world.hosts.some(({ hasLied }) => hasLied) || this.#world.lastTroubleMs >= (provenance?.askedAtMs ?? 0) - upheavalMs;
    return { why: 'it has it from another home', isGood: upheaval };
  }
}
