/**
 * A lease that is kept alive. While etcd is away, renewals are tried for as long as it takes: only
 * etcd itself can say that a lease is lost.
 *
 * Invariant: after `close` or the call of `onLost` nothing more is asked of etcd.
 */
import type { Clock } from '../clock.js';
import type { Closeable } from '../lifecycle.js';
import type { EtcdClient } from './client.js';

export interface EtcdLeaseOptions {
  client: EtcdClient;
  ttlSeconds: number;
  clock: Clock;
  /** Called when its keys are gone. */
  onLost(): void;
}

const retryMs = 500;

export class EtcdLease implements Closeable {
  readonly id: string;
  readonly #options: EtcdLeaseOptions;
  #cancelTimer: () => void;
  #closed = false;

  private constructor(id: string, options: EtcdLeaseOptions) {
    this.id = id;
    this.#options = options;
    this.#cancelTimer = this.#renewAfter(this.#intervalMs);
  }

  /** @throws EtcdError */
  static async grant(options: EtcdLeaseOptions): Promise<EtcdLease> {
    return new EtcdLease(await options.client.grantLease(options.ttlSeconds), options);
  }

  /** Lets it run out. */
  close(): void {
    this.#closed = true;
    this.#cancelTimer();
  }

  /** Ends it and its keys now. @throws EtcdError; then it runs out by itself */
  async revoke(): Promise<void> {
    this.close();
    await this.#options.client.revokeLease(this.id);
  }

  get #intervalMs(): number {
    return (this.#options.ttlSeconds * 1000) / 3;
  }

  #renewAfter(delayMs: number): () => void {
    return this.#options.clock.after(delayMs, () => void this.#renew());
  }

  async #renew(): Promise<void> {
    let delayMs = this.#intervalMs;
    try {
      const isAlive = await this.#options.client.keepLeaseAlive(this.id);
      if (this.#closed) return;
      if (!isAlive) {
        this.#closed = true;
        this.#options.onLost();
        return;
      }
    } catch {
      // The watchers of etcd report the failure; here it is tried again.
      delayMs = Math.min(delayMs, retryMs);
    }
    if (!this.#closed) this.#cancelTimer = this.#renewAfter(delayMs);
  }
}
