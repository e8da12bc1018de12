/**
 * Disks that other nodes own, as they said last: to find a disk by its name, and to know whose it is while its owner does not answer. Hints: the owner's own log decides.
 *
 * Kept in a small file, so that a restarted node knows whom to ask.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { errorCode, errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import { replaceFile } from '../../base/replace-file.js';
import { diskRecordSchema, epochSchema, forceSchema, nodeRefSchema, olderFirst } from '../protocol/record.js';

export const knownDiskSchema = z.object({
  record: diskRecordSchema,
  owner: nodeRefSchema,
  epoch: epochSchema,
  /** Of its overlay, as told last. */
  dataBytes: z.number().nonnegative(),
  /** The last force that led to this ownership. */
  forced: forceSchema.optional(),
});

export type KnownDisk = z.infer<typeof knownDiskSchema>;

const fileSchema = z.object({ format: z.literal(1), disks: z.array(knownDiskSchema) });

export class KnownDisks {
  readonly #path: string;
  readonly #log: Logger;
  readonly #disks = new Map<string, KnownDisk>();
  /** Uuids by name. */
  readonly #names = new Map<string, Set<string>>();

  /** Called with the uuid of a disk that may have another name now: something was told of it, or is forgotten. */
  onName: (uuid: string) => void = () => {};

  constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
    try {
      for (const disk of fileSchema.parse(JSON.parse(readFileSync(path, 'utf8'))).disks) this.#put(disk);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT')
        log.warn({ file: path, reason: errorMessage(error) }, 'which disks other nodes own is learnt anew from them');
    }
  }

  list(): KnownDisk[] {
    return [...this.#disks.values()];
  }

  get(uuid: string): KnownDisk | undefined {
    return this.#disks.get(uuid);
  }

  get size(): number {
    return this.#disks.size;
  }

  /** Of several, the one that was made first. */
  byName(name: string): KnownDisk | undefined {
    return [...(this.#names.get(name) ?? [])]
      .flatMap((uuid) => this.#disks.get(uuid) ?? [])
      .sort((left, right) => olderFirst(left.record, right.record))[0];
  }

  /** Keeps what has the greater epoch. */
  offer(disk: KnownDisk): void {
    const known = this.#disks.get(disk.record.uuid);
    if (known !== undefined && known.epoch > disk.epoch) return;
    if (known?.epoch === disk.epoch && (known.record.renames ?? 0) > (disk.record.renames ?? 0)) return;
    const isSame =
      known !== undefined &&
      known.epoch === disk.epoch &&
      known.owner.id === disk.owner.id &&
      known.record.name === disk.record.name &&
      known.record.sizeBytes === disk.record.sizeBytes;
    this.#put(disk);
    if (!isSame) this.#save();
  }

  forget(uuid: string): void {
    if (!this.#drop(uuid)) return;
    this.onName(uuid);
    this.#save();
  }

  #put(disk: KnownDisk): void {
    const { uuid, name } = disk.record;
    this.#drop(uuid);
    this.#disks.set(uuid, disk);
    this.#names.set(name, (this.#names.get(name) ?? new Set()).add(uuid));
    this.onName(uuid);
  }

  #drop(uuid: string): boolean {
    const name = this.#disks.get(uuid)?.record.name;
    if (name === undefined) return false;
    const uuids = this.#names.get(name);
    uuids?.delete(uuid);
    if (uuids?.size === 0) this.#names.delete(name);
    return this.#disks.delete(uuid);
  }

  #save(): void {
    try {
      replaceFile(this.#path, `${JSON.stringify({ format: 1, disks: this.list() }, undefined, 2)}\n`);
    } catch (error) {
      this.#log.warn(
        { file: this.#path, reason: errorMessage(error) },
        'which disks other nodes own can not be kept: they are asked after a restart',
      );
    }
  }
}
