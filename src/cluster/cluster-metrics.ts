/**
 * Counters of one content in the cluster since the daemon started. They are plain numbers, because
 * they are on the paths of misses.
 */
import type { Clock } from '../base/clock.js';
import { LatencyWindow } from './latency-window.js';

/** Counters of one peer for one content. */
export class PeerTally {
  requests = 0;
  failures = 0;
  bytes = 0;
  /** Latencies of requests that succeeded, in ms. */
  readonly latency: LatencyWindow;

  constructor(clock: Clock) {
    this.latency = new LatencyWindow({ clock, sampleLimit: 64 });
  }
}

export class ClusterMetrics {
  readonly peers = new Map<string, PeerTally>();
  readonly #clock: Clock;
  /** Requests to homes and to holders. */
  homeRequests = 0;
  heldRequests = 0;
  /** Requests that went on to another node after one had failed. */
  failovers = 0;
  /** Runs that this node fetched as a home because all homes before it failed. */
  stoodIn = 0;
  /** Chunks that were asked of the origin while no peer answered. */
  cutOffChunks = 0;
  /** Chunks that a peer did not hold, although this node thought so. */
  wrongHints = 0;
  /** Requests after which a peer was set aside. */
  lies = 0;
  /** Connections that went silent, and those whose peer gave signs of life and no answers. */
  silentConnections = 0;
  hedges = 0;
  hedgeWins = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  of(peerId: string): PeerTally {
    const known = this.peers.get(peerId);
    if (known !== undefined) return known;
    const tally = new PeerTally(this.#clock);
    this.peers.set(peerId, tally);
    return tally;
  }
}
