/**
 * Decides which peers may be asked: those whose breaker is not open, and that were not caught with
 * wrong bytes for the content.
 *
 * There is one per content for wrong bytes. All contents share the breakers, because a node fails
 * as a whole.
 */

import type { Clock } from '../base/clock.js';
import { errorCode, errorMessage } from '../base/error.js';
import type { Logger } from '../base/log.js';
import type { Breaker } from './breaker.js';
import type { ClusterMetrics } from './cluster-metrics.js';
import type { Neighbourhood } from './neighbourhood.js';
import { silenceOf } from './peer.js';

/** Time that a peer which sent wrong bytes is not asked for that content, in ms. */
const setAsideMs = 600_000;

export interface SetAside {
  peerId: string;
  reason: string;
  /** Time of the clock, in ms. */
  atMs: number;
}

/** One request that may be made. The caller calls one of these at its end. */
export interface Admission {
  succeeded(): void;
  failed(error: unknown): void;
  /** The request ended for a reason that is not the peer's: it was aborted, or a hint was wrong. */
  ended(): void;
}

export interface TrustOptions {
  /** Name of the content, for the log. */
  name: string;
  neighbourhood: Neighbourhood;
  breakerOf(peerId: string): Breaker;
  metrics: ClusterMetrics;
  clock: Clock;
  log: Logger;
}

export class Trust {
  readonly #options: TrustOptions;
  readonly #aside = new Map<string, SetAside>();
  /** Failed connections. Each is one failure, however many requests it took along. */
  readonly #silences = new WeakSet<Error>();

  constructor(options: TrustOptions) {
    this.#options = options;
  }

  get setAside(): readonly SetAside[] {
    for (const peerId of this.#aside.keys()) this.isTrusted(peerId);
    return [...this.#aside.values()];
  }

  /** True if the peer may be asked. */
  isTrusted(peerId: string): boolean {
    const aside = this.#aside.get(peerId);
    if (aside === undefined) return true;
    if (this.#options.clock.nowMs() - aside.atMs < setAsideMs) return false;
    this.#aside.delete(peerId);
    return true;
  }

  /** @returns the admission of one request; `undefined` if the peer must not be asked now */
  enter(peerId: string): Admission | undefined {
    const pass = this.isTrusted(peerId) ? this.#options.breakerOf(peerId).enter() : undefined;
    if (pass === undefined) return undefined;
    return {
      succeeded: () => pass.settle('success'),
      ended: () => pass.settle('abandoned'),
      failed: (error) => {
        const silence = silenceOf(error);
        const isKnown = silence !== undefined && this.#silences.has(silence);
        pass.settle(isKnown ? 'abandoned' : 'failure');
        this.#failed(peerId, error);
        if (silence === undefined || isKnown) return;
        this.#silences.add(silence);
        this.#options.metrics.silentConnections += 1;
        const { log, name } = this.#options;
        log.warn(
          { peer: peerId, image: name, reason: errorMessage(silence) },
          'a peer did not answer: it is asked on a new connection, or another one is asked',
        );
      },
    };
  }

  #failed(peerId: string, error: unknown): void {
    const { metrics, clock, log, name, neighbourhood } = this.#options;
    const code = errorCode(error);
    metrics.of(peerId).failures += 1;
    if (code === 'ERR_PEER_LIED' || code === 'ERR_DIGEST_MISMATCH') {
      metrics.lies += 1;
      this.#aside.set(peerId, { peerId, reason: errorMessage(error), atMs: clock.nowMs() });
      log.error({ peer: peerId, image: name, reason: errorMessage(error) }, 'a peer sent wrong bytes: it is set aside for this image');
    } else {
      log.debug({ peer: peerId, image: name, code, reason: errorMessage(error) }, 'a peer failed');
    }
    if (code === 'ERR_PEER_GONE') neighbourhood.suspect(peerId);
  }
}
