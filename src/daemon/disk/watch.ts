/**
 * Keeps what this node knows of other nodes' disks in step with what they say of themselves: who owns what, since which epoch.
 *
 * A disk of this node that another one owns under a later epoch was taken by force: this node stops serving it at once.
 */
import type { Clock } from '../../base/clock.js';
import { CopseError, errorCode, errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import type { MemberView } from '../../cluster/health/member-view.js';
import type { DiskExport } from '../../disk/disk-export.js';
import type { KnownDisks } from '../../disk/known-disks.js';
import type { DiskPeers } from '../../disk/peers.js';
import type { DiskRegistry } from '../../disk/registry.js';

export interface DiskWatchOptions {
  registry: DiskRegistry;
  known: KnownDisks;
  peers: DiskPeers;
  members(): MemberView[];
  clock: Clock;
  log: Logger;
}

const lookMs = 500;

export class DiskWatch {
  readonly #options: DiskWatchOptions;
  #cancel: () => void = () => {};
  #closed = false;

  constructor(options: DiskWatchOptions) {
    this.#options = options;
  }

  /** Looks once, then goes on by itself. */
  async start(): Promise<void> {
    await this.look().catch((error: unknown) =>
      this.#options.log.error({ reason: errorMessage(error) }, 'disks of other nodes could not be looked at'),
    );
    if (this.#closed) return;
    this.#cancel = this.#options.clock.after(lookMs, () => void this.start());
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  async look(): Promise<void> {
    const { members, registry, known, peers } = this.#options;
    for (const { id, address, state, disks } of members()) {
      if ((state !== 'up' && state !== 'draining') || disks === undefined) continue;
      for (const { uuid, epoch, renames = 0 } of disks) {
        const own = registry.get(uuid);
        if (own?.isOwner) {
          own.superseded(epoch, { id, address });
          if (own.isOwner) continue;
        }
        const told = known.get(uuid);
        if (
          told === undefined ||
          told.epoch < epoch ||
          (told.epoch === epoch && (told.record.renames ?? 0) !== renames) ||
          (told.epoch === epoch && (told.owner.id !== id || told.owner.address !== address))
        ) {
          await this.#describe({ id, address }, uuid);
        }
      }
      const owned = new Set(disks.map(({ uuid }) => uuid));
      for (const { record, owner } of known.list()) {
        if (owner.id === id && !owned.has(record.uuid)) await this.#describe(owner, record.uuid);
      }
    }
    // Taken by force, as the index or this node's own notes tell, though its taker does not answer just now.
    for (const disk of registry.exports) {
      const told = known.get(disk.record.uuid);
      if (told !== undefined && told.owner.id !== peers.self.id) disk.superseded(told.epoch, told.owner);
      disk.follow();
      if (told === undefined) registry.idle(disk);
    }
    await this.#dropFailedCopies();
  }

  async #describe(node: { id: string; address: string }, uuid: string): Promise<void> {
    const { peers, known, log } = this.#options;
    const before = known.get(uuid);
    try {
      const { record, state, epoch, to, dataBytes } = await peers.call(node, 'disk.describe', { uuid }, { timeoutMs: 2000 });
      // The owner knows how it is named. An index may have told of a name that the disk never got.
      const told = known.get(uuid);
      if (state === 'owner' && told?.epoch === epoch && (told.record.renames ?? 0) > (record.renames ?? 0)) known.forget(uuid);
      if (state === 'owner') known.offer({ record, owner: node, epoch, dataBytes });
      else if (to !== undefined && to.id !== peers.self.id) known.offer({ record, owner: to, epoch: epoch + 1, dataBytes });
    } catch (error) {
      // Removed, or moved away with all its blocks: its new owner says so itself.
      const isGone = errorCode(error) === 'ERR_NO_SUCH_DISK';
      // Another owner may have been heard of while this one was asked.
      if (isGone && known.get(uuid) === before) known.forget(uuid);
      if (!isGone) log.debug({ node: node.id, uuid, reason: errorMessage(error) }, 'no word of a disk from there');
    }
  }

  /** A copy that was made ahead and is of no use: its owner has gone, or handed the disk to somebody else. */
  async #dropFailedCopies(): Promise<void> {
    const { registry, log } = this.#options;
    for (const [uuid, replica] of registry.replicas) {
      const disk = registry.get(uuid);
      if (replica.progress.state !== 'failed' || disk === undefined || disk.isTakingOver || disk.isOwner) continue;
      registry.replicas.delete(uuid);
      const isOld = (): boolean => disk.hosted?.state.state === 'incoming' && !registry.replicas.has(uuid);
      if (isOld()) await dropIf(registry, disk, isOld);
      log.info({ disk: disk.record.name }, 'a copy of this disk that was made ahead is removed');
    }
  }
}

async function dropIf(registry: DiskRegistry, disk: DiskExport, isOld: () => boolean): Promise<void> {
  const check = (): void => {
    if (!isOld()) throw new CopseError('ERR_DISK_IN_USE', `disk "${disk.record.name}" is copied here anew`);
  };
  await registry.drop(disk, check).catch(() => {});
}
