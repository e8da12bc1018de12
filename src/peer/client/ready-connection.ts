/**
 * Connections to exports of other nodes that were made ahead, for moments in which nobody can wait for one: each is used once, by who takes it.
 *
 * Use it where it is known that something will be asked, and not when. It costs idle connections at both ends while it is kept, and a while longer. One that was taken may turn out to be dead: what is asked on
 * it must be such that it can be asked again on another.
 *
 * Invariants: nobody waits here; a connection that was handed out is the taker's; after `close` nothing is open, nor opened.
 */
import { type Clock, systemClock } from '../../base/clock.js';
import { parsePeerAddress } from '../../cluster/address.js';
import type { PeerTarget } from '../../cluster/peer.js';
import type { NbdClient } from '../../nbd/client/nbd-client.js';
import { connectToPeer } from './connect.js';

export interface ReadyConnectionsOptions {
  /** For connecting and the handshake together. Default 2000. */
  connectTimeoutMs?: number | undefined;
  clock?: Clock | undefined;
}

/** Before a connection takes the place of one that was taken or lost: who took one is busy with that. */
const refillMs = 1000;
/** So long after nobody wants them kept they are kept all the same: the last one that wanted them may have ended because of what they are for. */
const lingerMs = 5000;
/** Of one export, however many want some. */
const mostOfOne = 8;

interface Line {
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
  readonly #lines = new Map<string, Line>();
  readonly #end = new AbortController();

  constructor({ clock = systemClock, connectTimeoutMs = 2000 }: ReadyConnectionsOptions = {}) {
    this.#clock = clock;
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  /** Keeps that many connections ready, as far as the node answers, until the returned function is called. @throws CopseError `ERR_URL` */
  keep(peer: PeerTarget, exportName: string, count: number): () => void {
    parsePeerAddress(peer.address);
    if (this.#end.signal.aborted) return () => {};
    const key = keyOf(peer, exportName);
    let line = this.#lines.get(key);
    if (line === undefined) {
      const ready = new Set<NbdClient>();
      line = { peer, exportName, wantedCount: 0, ready, connectingCount: 0, cancelRefill: undefined, cancelEnd: undefined };
      this.#lines.set(key, line);
    }
    const kept = line;
    kept.cancelEnd?.();
    kept.cancelEnd = undefined;
    kept.wantedCount += count;
    this.#fill(kept);
    let isKept = true;
    return () => {
      if (!isKept) return;
      isKept = false;
      kept.wantedCount -= count;
      if (kept.wantedCount === 0 && !this.#end.signal.aborted) kept.cancelEnd = this.#clock.after(lingerMs, () => this.#endLine(key, kept));
    };
  }

  /** One that is open, as far as is known, and has not been used. The caller's, to destroy. */
  take(peer: PeerTarget, exportName: string): NbdClient | undefined {
    const line = this.#lines.get(keyOf(peer, exportName));
    if (line === undefined) return undefined;
    for (const client of line.ready) {
      line.ready.delete(client);
      this.#refill(line);
      if (client.failure === undefined) return client;
    }
    return undefined;
  }

  /** How many could be taken now. */
  count(peer: PeerTarget, exportName: string): number {
    return this.#lines.get(keyOf(peer, exportName))?.ready.size ?? 0;
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#end.abort();
    for (const [key, line] of this.#lines) this.#endLine(key, line);
  }

  #fill(line: Line): void {
    const missingCount = Math.min(mostOfOne, line.wantedCount) - line.ready.size - line.connectingCount;
    for (let count = 0; count < missingCount; count += 1) void this.#connect(line);
  }

  async #connect(line: Line): Promise<void> {
    const { peer, exportName, ready } = line;
    line.connectingCount += 1;
    try {
      const address = parsePeerAddress(peer.address);
      const options = { exportName, timeoutMs: this.#connectTimeoutMs, signal: this.#end.signal, clock: this.#clock };
      const client = await connectToPeer(address, options);
      if (this.#lines.get(keyOf(peer, exportName)) !== line) {
        client.destroy();
        return;
      }
      ready.add(client);
      void client.closed.then(() => {
        if (ready.delete(client)) this.#refill(line);
      });
    } catch {
      // Nobody waits for it. Who asks meanwhile makes a connection, and is told what is wrong.
      this.#refill(line);
    } finally {
      line.connectingCount -= 1;
    }
  }

  #refill(line: Line): void {
    if (line.cancelRefill !== undefined || this.#end.signal.aborted) return;
    line.cancelRefill = this.#clock.after(refillMs, () => {
      line.cancelRefill = undefined;
      this.#fill(line);
    });
  }

  #endLine(key: string, line: Line): void {
    if (this.#lines.get(key) === line) this.#lines.delete(key);
    line.wantedCount = 0;
    line.cancelRefill?.();
    line.cancelEnd?.();
    for (const client of line.ready) client.destroy();
    line.ready.clear();
  }
}

function keyOf({ id, address }: PeerTarget, exportName: string): string {
  return `${id} ${address} ${exportName}`;
}
