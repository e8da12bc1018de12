/**
 * This node's own record in etcd, under a lease. It is put again whenever it is missing or wrong.
 *
 * A record is written only if there is none, or one with this node's token. So a second node with
 * the same id is refused as long as the lease of the first one lives, and goes on trying.
 *
 * Invariants: one attempt at a time. Attempts after a failure, or after another node's write, have
 * pauses between them. After `leave` nothing is asked of etcd.
 */
import type { Clock } from '../../base/clock.js';
import { waitFor } from '../../base/deadline.js';
import { CopseError, errorCode, errorMessage } from '../../base/error.js';
import { backoffMs } from '../../base/etcd/backoff.js';
import type { EtcdClient, EtcdEntry } from '../../base/etcd/client.js';
import { EtcdLease } from '../../base/etcd/lease.js';
import { holdProcess } from '../../base/hold.js';
import type { Logger } from '../../base/log.js';
import type { NodeRecord } from '../node.js';
import { leftValue, parseEtcdNode } from './etcd-record.js';

export interface EtcdRegistrationOptions {
  client: EtcdClient;
  key: string;
  id: string;
  token: string;
  ttlSeconds: number;
  clock: Clock;
  log: Logger;
}

/**
 * Longer than other nodes keep one whose record vanished. So a node that was cut off from etcd
 * meanwhile reads it, too.
 */
const leftSeconds = 120;
/** Time for the last word of a node that stops, in ms. */
const leaveTimeoutMs = 2000;
const racesPerAttempt = 5;

export class EtcdRegistration {
  readonly #options: EtcdRegistrationOptions;
  #value: string | undefined;
  #lease: EtcdLease | undefined;
  #failure: string | undefined = 'this node is not registered yet';
  #failureCount = 0;
  #attempt: Promise<void> | undefined;
  #isStale = false;
  #cancelTimer: (() => void) | undefined;
  #closed = false;

  constructor(options: EtcdRegistrationOptions) {
    this.#options = options;
  }

  /** The reason why the record in etcd is missing or wrong; `undefined` if it is right. */
  get failure(): string | undefined {
    return this.#value === undefined ? undefined : this.#failure;
  }

  /**
   * Writes the record; goes on trying while etcd is away.
   *
   * @throws CopseError `ERR_NODE_ID` if another node has the id; then it stops trying
   */
  async register(record: NodeRecord, timeoutMs: number): Promise<void> {
    this.#value = JSON.stringify(record);
    const attempt = this.#start();
    await holdProcess(waitFor('registration in etcd', attempt, { timeoutMs, clock: this.#options.clock })).catch((error: unknown) => {
      if (errorCode(error) !== 'ERR_NODE_ID') return;
      this.#close();
      throw error;
    });
  }

  /** Before `register` it does nothing. */
  update(record: NodeRecord): void {
    if (this.#value === undefined) return;
    this.#value = JSON.stringify(record);
    this.#wake();
  }

  /** Takes the entry that the watch saw under this node's key. */
  observe(entry: EtcdEntry | undefined): void {
    if (this.#value === undefined || this.#failure !== undefined || this.#attempt !== undefined) return;
    if (entry?.value === this.#value && entry.leaseId === this.#lease?.id) return;
    if (entry === undefined) this.#wake();
    // Two nodes that each believe to have the id must not overwrite each other at the speed of the
    // network.
    else this.#later(1000 * (0.5 + Math.random()));
  }

  /** Says that the node leaves on purpose, if etcd hears it in time. */
  async leave(): Promise<void> {
    const isRegistered = this.#value !== undefined && this.#lease !== undefined;
    this.#close();
    if (!isRegistered) return;
    const { key, clock, log } = this.#options;
    await waitFor('leave', this.#sayLeft(), { timeoutMs: leaveTimeoutMs, clock }).catch((error: unknown) => {
      log.info({ key, reason: errorMessage(error) }, 'etcd did not hear that this node leaves: the others wait for it a while');
    });
  }

  async #sayLeft(): Promise<void> {
    const { client, key, token } = this.#options;
    await this.#attempt?.catch(() => {});
    const lease = this.#lease;
    const present = await client.get(key);
    if (present === undefined || present.leaseId !== lease?.id) return;
    await client.putIf(key, present.modRevision, leftValue(token), await client.grantLease(leftSeconds));
    await client.revokeLease(lease.id);
  }

  #close(): void {
    this.#closed = true;
    this.#cancelTimer?.();
    this.#lease?.close();
  }

  #wake(): void {
    if (this.#attempt !== undefined) this.#isStale = true;
    else if (!this.#closed) void this.#start().catch(() => {});
  }

  #later(delayMs: number): void {
    this.#cancelTimer?.();
    this.#cancelTimer = this.#options.clock.after(delayMs, () => this.#wake());
  }

  #start(): Promise<void> {
    this.#cancelTimer?.();
    this.#isStale = false;
    const attempt = this.#put().then(
      () => this.#end(undefined),
      (error: unknown) => {
        this.#end(error);
        throw error;
      },
    );
    this.#attempt = attempt;
    return attempt;
  }

  #end(error: unknown): void {
    this.#attempt = undefined;
    if (this.#closed) return;
    const { id, log } = this.#options;
    const failure = error === undefined ? undefined : errorMessage(error);
    if (failure !== undefined && failure !== this.#failure)
      log.warn({ node: id, code: errorCode(error), reason: failure }, 'this node is not registered in etcd');
    else if (failure === undefined && this.#failure !== undefined) log.info({ node: id }, 'registered in etcd');
    this.#failure = failure;
    this.#failureCount = failure === undefined ? 0 : this.#failureCount + 1;
    if (failure !== undefined) this.#later(backoffMs(this.#failureCount));
    else if (this.#isStale) this.#wake();
  }

  async #put(): Promise<void> {
    const { client, key, clock, ttlSeconds } = this.#options;
    for (let race = 0; race < racesPerAttempt; race++) {
      const lease = this.#lease ?? (await EtcdLease.grant({ client, clock, ttlSeconds, onLost: () => this.#onLost() }));
      if (this.#closed) {
        lease.close();
        return;
      }
      this.#lease = lease;
      const value = this.#value ?? '';
      const present = await client.get(key);
      if (present?.value === value && present.leaseId === lease.id) return;
      if (present !== undefined) this.#checkOwner(present);
      try {
        if (this.#closed || (await client.putIf(key, present?.modRevision ?? 0, value, lease.id))) return;
      } catch (error) {
        // The lease may be gone although no renewal failed: the next attempt takes a new one.
        if (errorCode(error) === 'ERR_ETCD_UNAVAILABLE') this.#dropLease();
        throw error;
      }
    }
    throw new CopseError('ERR_ETCD_UNAVAILABLE', `${key} in etcd changes faster than it can be written`);
  }

  #onLost(): void {
    this.#options.log.warn({ node: this.#options.id }, "this node's lease in etcd ran out: it registers again");
    this.#lease = undefined;
    this.#wake();
  }

  #dropLease(): void {
    this.#lease?.close();
    this.#lease = undefined;
  }

  /** @throws CopseError `ERR_NODE_ID` */
  #checkOwner(present: EtcdEntry): void {
    const { id, token, log } = this.#options;
    let owner: ReturnType<typeof parseEtcdNode>;
    try {
      owner = parseEtcdNode(id, present.value);
    } catch (error) {
      log.warn({ node: id, reason: errorMessage(error) }, 'a broken record stands under the id of this node: it is replaced');
      return;
    }
    if (owner.kind === 'left' || owner.record.token === token) return;
    throw new CopseError(
      'ERR_NODE_ID',
      `another node at ${owner.record.address} is registered as "${id}" in etcd: give one of the two another id ([node] id, or --node); if that one is gone for good, its record goes ${this.#options.ttlSeconds} s after its end`,
    );
  }
}
