/**
 * Claims of other nodes to disks that this node owns: a member says, or is said, to own one under a
 * later epoch.
 *
 * A claim of a member that is up closes the disk's gate at once, so nothing is acknowledged
 * meanwhile. Then it is asked back. Where the proof holds, the disk is fenced here; where it fails,
 * the gate opens again. A node whose claim failed closes nothing for a while: its claims are asked
 * back all the same.
 *
 * Invariant: a disk is fenced only on proof. Its blocks stay in any case.
 */
import type { Clock } from '../../base/clock.js';
import { errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import { pause } from '../../base/pause.js';
import type { Proof } from '../protocol/chain.js';
import type { NodeRef } from '../protocol/record.js';
import type { DiskExport } from './disk-export.js';
import { proveClaim } from './own-word.js';
import type { DiskRegistry } from './registry.js';

/** Before nodes of the chain that did not answer are asked again. */
const retryMs = 500;
/** Time within which a claim must be confirmed, in ms. */
const patienceMs = 5000;
/** For so long a node whose claim failed does not close the gate. */
const distrustMs = 30_000;
/** Between two looks at a claim that failed. */
const restMs = 5000;

interface Failure {
  trustedAgainMs: number;
  nextMs: number;
}

export interface ClaimsOptions {
  registry: DiskRegistry;
  clock: Clock;
  log: Logger;
}

export class Claims {
  readonly #options: ClaimsOptions;
  /** By uuid and node. */
  readonly #pending = new Map<string, Promise<void>>();
  /** By uuid and node. */
  readonly #failures = new Map<string, Failure>();

  constructor(options: ClaimsOptions) {
    this.#options = options;
  }

  /**
   * Hears that the node owns the disk under that epoch. Resolves when the claim is proven or has
   * failed; never rejects.
   */
  hear(disk: DiskExport, node: NodeRef, epoch: number): Promise<void> {
    const { hosted, isOwner, record } = disk;
    if (hosted === undefined || !isOwner || epoch <= hosted.state.epoch) return Promise.resolve();
    const key = `${record.uuid} ${node.id}`;
    // The claim of another node is another one: it may hold where this one fails.
    const pending = this.#pending.get(key);
    if (pending !== undefined) return pending;
    const failure = this.#failures.get(key);
    const nowMs = this.#options.clock.nowMs();
    if (failure !== undefined && nowMs < failure.nextMs) return Promise.resolve();
    const isTrusted = failure === undefined || nowMs >= failure.trustedAgainMs;
    const check = this.#check(disk, node, epoch, isTrusted)
      .catch((error: unknown) => {
        this.#options.log.error({ disk: record.name, reason: errorMessage(error) }, 'a claim to this disk could not be judged');
      })
      .finally(() => this.#pending.delete(key));
    this.#pending.set(key, check);
    return check;
  }

  async #check(disk: DiskExport, node: NodeRef, epoch: number, isTrusted: boolean): Promise<void> {
    const { log, registry } = this.#options;
    const { uuid, name } = disk.record;
    const closesGate = isTrusted && (registry.options.peers?.isUp(node.id) ?? false);
    // Shut from this turn on; changes that are inside already may take their time.
    const judged = disk.claimed(node, epoch, closesGate, () => this.#prove(disk, node, epoch, isTrusted ? patienceMs : 0));
    if (closesGate)
      log.warn(
        { disk: name, node: node.id, epoch },
        'a node claims this disk under a later epoch: nothing is written until it has proven that',
      );
    const proof = await judged;
    if (proof === 'proven' || proof === undefined) return;
    this.#failed(uuid, node.id, isTrusted);
    if (isTrusted) log.warn({ disk: name, node: node.id, epoch, proof }, 'the claim to this disk failed: it goes on here');
  }

  async #prove(disk: DiskExport, node: NodeRef, epoch: number, timeMs: number): Promise<Proof> {
    const { registry, clock } = this.#options;
    const endMs = clock.nowMs() + timeMs;
    for (;;) {
      const proof = await proveClaim(registry, { uuid: disk.record.uuid, node, epoch });
      if (proof !== 'unknown' || clock.nowMs() + retryMs > endMs) return proof;
      await pause(clock, retryMs);
    }
  }

  #failed(uuid: string, nodeId: string, wasTrusted: boolean): void {
    const nowMs = this.#options.clock.nowMs();
    const key = `${uuid} ${nodeId}`;
    const known = this.#failures.get(key);
    for (const [other, { trustedAgainMs }] of this.#failures) if (trustedAgainMs < nowMs) this.#failures.delete(other);
    const trustedAgainMs = wasTrusted || known === undefined ? nowMs + distrustMs : known.trustedAgainMs;
    this.#failures.set(key, { trustedAgainMs, nextMs: nowMs + restMs });
  }
}
