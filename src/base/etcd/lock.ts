/**
 * A lock among all nodes. It is a key under a lease: a node that dies with it loses it within
 * `lockTtlSeconds`.
 *
 * When to use: for choices that are rare and better not made twice. The lock orders, but does not
 * fence: a node that stalls for longer than the lease goes on beside the next one.
 */
import type { Clock } from '../clock.js';
import { DeadlineError } from '../error.js';
import { holdProcess } from '../hold.js';
import type { EtcdClient } from './client.js';
import { EtcdLease } from './lease.js';

const lockTtlSeconds = 5;
const pollMs = 100;

export interface EtcdLockOptions {
  client: EtcdClient;
  key: string;
  clock: Clock;
  /** Deadline for getting the lock, in ms; the work under it has none. */
  timeoutMs: number;
}

/**
 * Runs `work` while this node alone has the lock.
 *
 * @throws EtcdError, DeadlineError if other nodes kept it, what `work` throws
 */
export async function withEtcdLock<T>(options: EtcdLockOptions, work: () => Promise<T>): Promise<T> {
  const { client, key, clock } = options;
  const lease = await EtcdLease.grant({ client, clock, ttlSeconds: lockTtlSeconds, onLost: () => {} });
  try {
    await acquire(options, lease.id);
    return await work();
  } finally {
    // If etcd does not hear of it now, the lease runs out.
    await lease.revoke().catch(() => {});
  }

  async function acquire({ timeoutMs }: EtcdLockOptions, leaseId: string): Promise<void> {
    const untilMs = clock.nowMs() + timeoutMs;
    while (!(await client.putIf(key, 0, '', leaseId))) {
      // A write without an answer may have been made.
      if ((await client.get(key))?.leaseId === leaseId) return;
      if (clock.nowMs() >= untilMs) throw new DeadlineError(`lock ${key} in etcd`, timeoutMs);
      await holdProcess(new Promise<void>((resolve) => clock.after(pollMs * (0.5 + Math.random()), resolve)));
    }
  }
}
