/**
 * Makes connections to exports of other nodes ahead of their use, so that a handover does not wait
 * for connecting. Each connection is taken and used once.
 *
 * When to use: for requests that will come at an unknown time and must be quick. Cost: idle
 * connections at both ends. A taken connection may be dead, so the taker must be able to repeat its
 * request on another.
 *
 * It does not use `KeptConnection`, which shares one connection among all callers and makes it at
 * its first use. Here each taker gets a connection of its own, or none at once.
 *
 * Invariants: no call waits. A taken connection belongs to its taker. After `close` nothing is
 * open, and nothing is opened.
 */
import { type Clock, systemClock } from '../../base/clock.js';
import { parsePeerAddress } from '../../cluster/address.js';
import type { PeerTarget } from '../../cluster/peer.js';
import type { NbdClient } from '../../nbd/client/nbd-client.js';
import { connectToPeer } from './connect.js';

export interface ReadyConnectionsOptions {
  /** Timeout of connecting and handshake together, in ms. Default 2000. */
  connectTimeoutMs?: number | undefined;
  clock?: Clock | undefined;
}

/**
 * Delay before a taken or lost connection is replaced, in ms. The taker is busy with its handover
 * meanwhile.
 */
const refillMs = 1000;
/**
 * Grace period after the last user lets go, in ms. That user may have ended because the handover
 * that these connections serve has begun.
 */
const lingerMs = 5000;
/** Bound on the connections of one export, over all users. */
const maxPerExport = 8;

/** Prepared connections to one export of one node. */
interface Pool {
  readonly peer: PeerTarget;
  readonly exportName: string;
  wantedCount: number;
  readonly ready: Set<NbdClient>;
  connectingCount: number;
  cancelRefill: (() => void) | undefined;
  cancelEnd: (() => void) | undefined;
}

export class ReadyConnections {
  readonly #clock: Clock;
  readonly #connectTimeoutMs: number;
  readonly #pools = new Map<string, Pool>();
  readonly #end = new AbortController();

  constructor({ clock = systemClock, connectTimeoutMs = 2000 }: ReadyConnectionsOptions = {}) {
    this.#clock = clock;
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  /**
   * Keeps that many connections ready while the node answers, until the returned function is
   * called.
   *
   * @throws CopseError `ERR_URL`
   */
  keep(peer: PeerTarget, exportName: string, count: number): () => void {
    parsePeerAddress(peer.address);
    if (this.#end.signal.aborted) return () => {};
    const key = keyOf(peer, exportName);
    let pool = this.#pools.get(key);
    if (pool === undefined) {
      const ready = new Set<NbdClient>();
      pool = { peer, exportName, wantedCount: 0, ready, connectingCount: 0, cancelRefill: undefined, cancelEnd: undefined };
      this.#pools.set(key, pool);
    }
    const kept = pool;
    kept.cancelEnd?.();
    kept.cancelEnd = undefined;
    kept.wantedCount += count;
    this.#fill(kept);
    let isKept = true;
    return () => {
      if (!isKept) return;
      isKept = false;
      kept.wantedCount -= count;
      if (kept.wantedCount === 0 && !this.#end.signal.aborted) kept.cancelEnd = this.#clock.after(lingerMs, () => this.#endPool(key, kept));
    };
  }

  /**
   * Returns an unused connection that is open as far as is known, or none. The caller has to
   * destroy it.
   */
  take(peer: PeerTarget, exportName: string): NbdClient | undefined {
    const pool = this.#pools.get(keyOf(peer, exportName));
    if (pool === undefined) return undefined;
    for (const client of pool.ready) {
      pool.ready.delete(client);
      this.#refill(pool);
      if (client.failure === undefined) return client;
    }
    return undefined;
  }

  /** Number of connections that can be taken now. */
  count(peer: PeerTarget, exportName: string): number {
    return this.#pools.get(keyOf(peer, exportName))?.ready.size ?? 0;
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#end.abort();
    for (const [key, pool] of this.#pools) this.#endPool(key, pool);
  }

  #fill(pool: Pool): void {
    const missingCount = Math.min(maxPerExport, pool.wantedCount) - pool.ready.size - pool.connectingCount;
    for (let count = 0; count < missingCount; count += 1) void this.#connect(pool);
  }

  async #connect(pool: Pool): Promise<void> {
    const { peer, exportName, ready } = pool;
    pool.connectingCount += 1;
    try {
      const address = parsePeerAddress(peer.address);
      const options = { exportName, timeoutMs: this.#connectTimeoutMs, signal: this.#end.signal, clock: this.#clock };
      const client = await connectToPeer(address, options);
      if (this.#pools.get(keyOf(peer, exportName)) !== pool) {
        client.destroy();
        return;
      }
      ready.add(client);
      void client.closed.then(() => {
        if (ready.delete(client)) this.#refill(pool);
      });
    } catch {
      // No caller waits for it. A request of this time makes a connection and reports the error.
      this.#refill(pool);
    } finally {
      pool.connectingCount -= 1;
    }
  }

  #refill(pool: Pool): void {
    if (pool.cancelRefill !== undefined || this.#end.signal.aborted) return;
    pool.cancelRefill = this.#clock.after(refillMs, () => {
      pool.cancelRefill = undefined;
      this.#fill(pool);
    });
  }

  #endPool(key: string, pool: Pool): void {
    if (this.#pools.get(key) === pool) this.#pools.delete(key);
    pool.wantedCount = 0;
    pool.cancelRefill?.();
    pool.cancelEnd?.();
    for (const client of pool.ready) client.destroy();
    pool.ready.clear();
  }
}

function keyOf({ id, address }: PeerTarget, exportName: string): string {
  return `${id} ${address} ${exportName}`;
}
