/**
 * Which disks exist in all clusters and who owns them, in etcd: one key a name. An index: the owners' logs decide, and nothing that a guest or a handover does waits for it. What waits is
 * making a disk, so that no two nodes make one of the same name.
 *
 * Invariant: an owner puts back what is missing, and overwrites what has an older epoch of its own disk; an entry of another disk is left alone.
 *
 * Source: docs/operating/cluster.md.
 */
import type { Clock } from '../../base/clock.js';
import { CopseError, errorMessage } from '../../base/error.js';
import type { EtcdClient } from '../../base/etcd/client.js';
import { EtcdMirror } from '../../base/etcd/mirror.js';
import type { Closeable } from '../../base/lifecycle.js';
import type { Logger } from '../../base/log.js';
import { diskKeyOf, imageKeyOf, parseSharedImage } from '../../catalog/shared-record.js';
import { olderFirst } from '../protocol/record.js';
import { type KnownDisk, type KnownDisks, knownDiskSchema } from './known-disks.js';
import type { OwnerClaim } from './owner-round.js';

export interface DiskIndexOptions {
  client: EtcdClient;
  /** Of all keys, without a slash at its end. */
  prefix: string;
  selfId: string;
  known: KnownDisks;
  /** What this node owns now. */
  owned(): KnownDisk[];
  /** Whether files of the disk are on this host, whatever is done with them just now. */
  hasFiles(uuid: string): boolean;
  clock: Clock;
  log: Logger;
}

const publishMs = 1000;
/** Other nodes may take and leave the same name again and again, but not that often. */
const racesPerClaim = 5;
const loadMs = 3000;

export class EtcdDiskIndex implements Closeable {
  readonly #options: DiskIndexOptions;
  readonly #prefix: string;
  readonly #mirror: EtcdMirror;
  /** As it was followed last. */
  #seen = new Map<string, KnownDisk>();
  /** Names that this node is making disks of. */
  readonly #making = new Set<string>();
  readonly #complained = new Set<string>();
  #cancel: () => void = () => {};
  #closed = false;

  constructor(options: DiskIndexOptions) {
    this.#options = options;
    const { client, prefix, log, clock } = options;
    this.#prefix = `${prefix}/disks/`;
    this.#mirror = new EtcdMirror({ client, prefix: this.#prefix, log, clock });
  }

  /** Resolves when what etcd has is known, or after a while without. */
  async start(): Promise<void> {
    this.#mirror.onChange(() => this.#follow());
    this.#mirror.start();
    await this.#mirror.loaded(loadMs);
    this.#publishLater();
  }

  /**
   * Takes a name for a disk that is about to be made.
   *
   * @throws CopseError `ERR_DISK_EXISTS`, `ERR_ETCD_UNAVAILABLE`
   */
  async claim(disk: KnownDisk): Promise<void> {
    const { name } = disk.record;
    this.#making.add(name);
    try {
      await this.#claim(disk);
    } catch (error) {
      this.#making.delete(name);
      throw error;
    }
  }

  /** Disks and images share the names: the name is put only while the catalog has no image of it. */
  async #claim(disk: KnownDisk): Promise<void> {
    const { client, prefix } = this.#options;
    const { name } = disk.record;
    for (let race = 0; race < racesPerClaim; race += 1) {
      if ((await client.get(this.#keyOf(name))) !== undefined) break;
      const image = await client.get(imageKeyOf(prefix, name));
      if (image !== undefined && !isRemoved(name, image.value)) {
        throw new CopseError(
          'ERR_DISK_EXISTS',
          `there is an image "${name}", and disks and images share the names of exports: choose another name`,
        );
      }
      const other = { key: imageKeyOf(prefix, name), modRevision: image?.modRevision ?? 0 };
      if (await client.putIfBoth(this.#keyOf(name), 0, JSON.stringify(disk), other)) return;
    }
    throw new CopseError(
      'ERR_DISK_EXISTS',
      `a disk "${name}" exists already, or is being made on another node: "copse disk ls" shows it; choose another name`,
    );
  }

  /** Owners of the disks as a quorum has them now. @throws EtcdError */
  async owners(uuids: string[]): Promise<OwnerClaim[]> {
    const wanted = new Set(uuids);
    const { entries } = await this.#options.client.range(this.#prefix);
    return entries.flatMap(({ key, value }) => {
      const disk = this.#parse(key.slice(this.#prefix.length), value);
      if (disk === undefined || !wanted.has(disk.record.uuid) || disk.owner.id === this.#options.selfId) return [];
      return [{ uuid: disk.record.uuid, epoch: disk.epoch, owner: disk.owner }];
    });
  }

  /** The disk that was claimed is here, or will not be. */
  made(name: string): void {
    this.#making.delete(name);
  }

  /** The disk is no more, or has another name. What etcd does not hear of now it is told later: nobody owns it then. */
  async remove(name: string, uuid: string): Promise<void> {
    const entry = this.#mirror.entries.get(name);
    if (entry === undefined || this.#parse(name, entry.value)?.record.uuid !== uuid) return;
    await this.#options.client.deleteIf(this.#keyOf(name), entry.modRevision).catch(() => {});
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel();
    await this.#mirror.close();
  }

  #publishLater(): void {
    if (this.#closed) return;
    this.#cancel = this.#options.clock.after(publishMs, () => {
      this.#publish()
        .catch((error: unknown) => this.#options.log.debug({ reason: errorMessage(error) }, 'the index of disks in etcd is behind'))
        .finally(() => this.#publishLater());
    });
  }

  async #publish(): Promise<void> {
    if (!this.#mirror.isLoaded || this.#mirror.failure !== undefined) return;
    const { client, owned, selfId } = this.#options;
    const mine = new Map(owned().map((disk) => [disk.record.name, disk]));
    for (const [name, disk] of mine) {
      const entry = this.#mirror.entries.get(name);
      const known = entry && this.#parse(name, entry.value);
      if (known !== undefined && !this.#isOlder(known, disk)) continue;
      await client.putIf(this.#keyOf(name), entry?.modRevision ?? 0, JSON.stringify(disk));
    }
    // What this node is said to own, and does not: removed while etcd was away, or never made.
    for (const [name, entry] of this.#mirror.entries) {
      if (mine.has(name) || this.#making.has(name)) continue;
      const known = this.#parse(name, entry.value);
      const elsewhere = known && this.#options.known.get(known.record.uuid);
      const wasRenamed = owned().some(({ record }) => record.uuid === known?.record.uuid);
      // One that is here may be in the middle of a change: a resize, say.
      const isHere = known !== undefined && this.#options.hasFiles(known.record.uuid);
      if (known?.owner.id === selfId && (wasRenamed || (elsewhere === undefined && !isHere)))
        await client.deleteIf(this.#keyOf(name), entry.modRevision);
    }
  }

  #isOlder(known: KnownDisk, disk: KnownDisk): boolean {
    if (known.record.uuid === disk.record.uuid) {
      if (known.epoch !== disk.epoch) return known.epoch < disk.epoch;
      return (
        known.owner.id !== disk.owner.id || known.owner.address !== disk.owner.address || known.record.sizeBytes !== disk.record.sizeBytes
      );
    }
    // Made while etcd was away. Every node agrees on the older one, so two owners do not overwrite each other in turn.
    if (olderFirst(disk.record, known.record) < 0) return true;
    const { log } = this.#options;
    const { name } = disk.record;
    if (!this.#complained.has(name))
      log.error(
        { disk: name, other: known.owner.id },
        'two nodes have a disk of this name: the older one keeps it; rename the other one ("copse disk rename")',
      );
    this.#complained.add(name);
    return false;
  }

  #follow(): void {
    const { known, selfId } = this.#options;
    const seen = new Map<string, KnownDisk>();
    const uuids = new Set<string>();
    for (const [name, entry] of this.#mirror.entries) {
      const disk = this.#parse(name, entry.value);
      if (disk === undefined) continue;
      seen.set(name, disk);
      uuids.add(disk.record.uuid);
      if (disk.owner.id !== selfId) known.offer(disk);
    }
    for (const [name, { record, owner, epoch }] of this.#seen) {
      const told = known.get(record.uuid);
      // One that was renamed stands under another name.
      if (!seen.has(name) && !uuids.has(record.uuid) && told?.owner.id === owner.id && told.epoch === epoch) known.forget(record.uuid);
    }
    this.#seen = seen;
  }

  #parse(name: string, value: string): KnownDisk | undefined {
    try {
      return knownDiskSchema.parse(JSON.parse(value));
    } catch (error) {
      if (!this.#complained.has(name)) {
        this.#options.log.warn(
          { key: this.#keyOf(name), reason: errorMessage(error) },
          'an entry in etcd is no disk that this version can read: it is passed over',
        );
      }
      this.#complained.add(name);
      return undefined;
    }
  }

  #keyOf(name: string): string {
    return diskKeyOf(this.#options.prefix, name);
  }
}

/** True if the catalog says that the name is free again. A record that can't be read holds its name. */
function isRemoved(name: string, value: string): boolean {
  try {
    return parseSharedImage(name, value).kind === 'removed';
  } catch {
    return false;
  }
}
