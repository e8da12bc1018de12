/**
 * Keeps what this node knows of other nodes' disks in step with what they say of themselves: who owns what, since which epoch.
 *
 * A disk of this node that another one claims under a later epoch: `disk/owner/claim.ts` holds its writes back, and fences it on proof.
 */
import type { Clock } from '../../base/clock.js';
import { CopseError, errorCode, errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import type { MemberView } from '../../cluster/health/member-view.js';
import type { KnownDisks } from '../knowledge/known-disks.js';
import { Claims } from '../owner/claim.js';
import type { DiskExport } from '../owner/disk-export.js';
import { proveClaim } from '../owner/own-word.js';
import type { DiskRegistry } from '../owner/registry.js';
import { checkUuid } from '../protocol/chain.js';
import type { NodeRef } from '../protocol/record.js';
import type { RemoteNodes } from '../protocol/remote-nodes.js';
import { ForceNews } from './force-news.js';

export interface DiskWatchOptions {
  registry: DiskRegistry;
  known: KnownDisks;
  peers: RemoteNodes;
  members(): MemberView[];
  clock: Clock;
  log: Logger;
}

const lookMs = 500;

export class DiskWatch {
  readonly #options: DiskWatchOptions;
  readonly #claims: Claims;
  readonly #news: ForceNews;
  #cancel: () => void = () => {};
  #hasLooked = false;
  #closed = false;

  constructor(options: DiskWatchOptions) {
    this.#options = options;
    this.#claims = new Claims(options);
    this.#news = new ForceNews(options.registry);
  }

  /** Looks once, then goes on by itself. */
  async start(): Promise<void> {
    await this.look().catch((error: unknown) =>
      this.#options.log.error({ reason: errorMessage(error) }, 'disks of other nodes could not be looked at'),
    );
    if (this.#closed) return;
    this.#cancel = this.#options.clock.after(lookMs, () => void this.start());
  }

  /** As `Claims.hear`: one claim to a disk is judged once, whoever heard of it. */
  hear(disk: DiskExport, node: NodeRef, epoch: number): Promise<void> {
    return this.#claims.hear(disk, node, epoch);
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  async look(): Promise<void> {
    const { members, registry, known, peers } = this.#options;
    const judged: Promise<void>[] = [];
    for (const { id, address, state, disks } of members()) {
      if ((state !== 'up' && state !== 'draining') || disks === undefined) continue;
      for (const { uuid, epoch, sizeBytes, renames = 0 } of disks) {
        const own = registry.get(uuid);
        if (own?.isOwner) {
          judged.push(this.#claims.hear(own, { id, address }, epoch));
          if (epoch <= (own.hosted?.state.epoch ?? 0)) continue;
        }
        const told = known.get(uuid);
        if (
          told === undefined ||
          told.epoch < epoch ||
          (told.epoch === epoch && (told.record.renames ?? 0) !== renames) ||
          (told.epoch === epoch &&
            (told.owner.id !== id || told.owner.address !== address || isOtherSize(told.record.sizeBytes, sizeBytes)))
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
    const { exports } = registry;
    for (const disk of exports) {
      const told = known.get(disk.record.uuid);
      if (told !== undefined && told.owner.id !== peers.self.id) judged.push(this.#claims.hear(disk, told.owner, told.epoch));
      disk.follow();
      if (told === undefined) registry.idle(disk.record.uuid);
    }
    void this.#news.tell(exports);
    const asked = this.#news.ask(exports, (disk, { node, to }) => void judged.push(this.#claims.hear(disk, node, to)));
    // Before anybody is served. Later claims are judged beside everything else.
    if (!this.#hasLooked) {
      await asked;
      await Promise.all(judged);
    }
    this.#hasLooked = true;
    await this.#dropFailedCopies();
  }

  async #describe(node: { id: string; address: string }, uuid: string): Promise<void> {
    const { peers, known, log } = this.#options;
    const before = known.get(uuid);
    try {
      const { record, state, epoch, to, dataBytes, forced } = await peers.call(node, 'disk.describe', { uuid }, { timeoutMs: 2000 });
      checkUuid(uuid, record.uuid);
      // The owner knows how it is named. An index may have told of a name that the disk never got.
      const told = known.get(uuid);
      if (state === 'owner' && told?.epoch === epoch && (told.record.renames ?? 0) > (record.renames ?? 0)) known.forget(uuid);
      if (state === 'owner' && (await this.#isBelievable(node, uuid, epoch)))
        known.offer({ record, owner: node, epoch, dataBytes, forced });
      else if (state !== 'owner' && to !== undefined && to.id !== peers.self.id)
        known.offer({ record, owner: { id: to.id, address: to.address }, epoch: epoch + 1, dataBytes, forced });
    } catch (error) {
      // Removed, or moved away with all its blocks: its new owner says so itself.
      const isGone = errorCode(error) === 'ERR_NO_SUCH_DISK';
      // Another owner may have been heard of while this one was asked.
      if (isGone && known.get(uuid) === before) known.forget(uuid);
      if (!isGone) log.debug({ node: node.id, uuid, reason: errorMessage(error) }, 'no word of a disk from there');
    }
  }

  /** What was told last is a hint, and a claim against it is one, too, unless the chain of grants says that it is wrong. */
  async #isBelievable(node: NodeRef, uuid: string, epoch: number): Promise<boolean> {
    const { known, registry } = this.#options;
    const told = known.get(uuid);
    if (told !== undefined && (told.owner.id === node.id || told.epoch >= epoch)) return true;
    return (await proveClaim(registry, { uuid, node, epoch })) !== 'disproven';
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

/** A disk that was resized where it is keeps its epoch. */
function isOtherSize(knownBytes: number, toldBytes: number | undefined): boolean {
  return toldBytes !== undefined && toldBytes !== knownBytes;
}
