/**
 * The snapshots of one disk: for each the overlay's data and map as they were, `SNAP.data` and `SNAP.map`, and `SNAP.json`, which comes last and goes first.
 *
 * Invariant: a snapshot without its record does not exist; what lies there without one is cleared at the next start. All changes are the caller's to order, one after another.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { CopseError, errorCode, errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import { makeDirectorySync } from '../../base/make-directory.js';
import { replaceFile, syncDirectory } from '../../base/replace-file.js';
import { type CopyProgress, reflink, type SparseCopyOptions, sparseCopy } from './sparse-copy.js';

const snapshotRecordSchema = z.object({
  format: z.literal(1),
  name: z.string(),
  /** ISO 8601 */
  createdAt: z.string(),
  /** The disk's at that time. */
  sizeBytes: z.int().positive(),
  /** What the overlay had on the disk then; with reflinks it is shared. */
  dataBytes: z.number().nonnegative(),
});

export type SnapshotRecord = z.infer<typeof snapshotRecordSchema>;

/** The files that are the disk now. */
export interface SnapshotSource {
  dataPath: string;
  mapPath: string;
  sizeBytes: number;
}

export interface SnapshotOptions extends SparseCopyOptions {
  /** Whether a copy is right where the file system has no reflinks: it takes its time, and the disk has to stand still. */
  mayCopy: boolean;
}

const namePattern = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/;

/** @throws CopseError `ERR_NAME` */
export function checkSnapshotName(name: string): void {
  if (namePattern.test(name)) return;
  throw new CopseError(
    'ERR_NAME',
    `"${name}" can't be a snapshot's name: use 1 to 64 letters, digits, and . _ -, and begin with a letter, a digit or _`,
  );
}

export class SnapshotFolder {
  readonly #path: string;
  readonly #records = new Map<string, SnapshotRecord>();

  /** Opens the folder (made when it is missing) and clears what has no record. One that can't be used is said in the log, and left as it is. */
  constructor(path: string, log: Logger) {
    this.#path = path;
    makeDirectorySync(path, 0o700);
    const files = readdirSync(path);
    for (const file of files) {
      if (file.endsWith('.json')) this.#load(file.slice(0, -'.json'.length), log);
    }
    for (const file of files) {
      const name = /^(.*)\.(?:data|map|json\.new)$/.exec(file)?.[1];
      if (name !== undefined && (file.endsWith('.new') || !files.includes(`${name}.json`))) rmSync(join(path, file), { force: true });
    }
  }

  /** Oldest first. */
  list(): SnapshotRecord[] {
    return [...this.#records.values()].sort((left, right) =>
      left.createdAt < right.createdAt ? -1 : left.createdAt > right.createdAt ? 1 : 0,
    );
  }

  /** @throws CopseError `ERR_NO_SUCH_SNAPSHOT` */
  get(name: string): SnapshotSource & { record: SnapshotRecord } {
    const record = this.#records.get(name);
    if (record === undefined) throw noSuchSnapshot(name);
    return { record, dataPath: this.#file(name, 'data'), mapPath: this.#file(name, 'map'), sizeBytes: record.sizeBytes };
  }

  /** @throws CopseError `ERR_NAME`, `ERR_SNAPSHOT_EXISTS`, `ERR_DISK_IN_USE` when it would have to be copied and must not, `ENOSPC`, `ERR_ABORTED`; nothing is left then */
  async take(name: string, source: SnapshotSource, options: SnapshotOptions): Promise<CopyProgress> {
    checkSnapshotName(name);
    const paths = { json: this.#file(name, 'json'), data: this.#file(name, 'data'), map: this.#file(name, 'map') };
    if (this.#exists(name)) {
      throw new CopseError('ERR_SNAPSHOT_EXISTS', `there is a snapshot "${name}" of this disk: remove it first, or use another name`);
    }
    try {
      await this.#removeFiles(name);
      const progress = await copyEither(source.dataPath, paths.data, options);
      await copyEither(source.mapPath, paths.map, { signal: options.signal, mayCopy: true });
      syncDirectory(this.#path);
      const record: SnapshotRecord = {
        format: 1,
        name,
        createdAt: new Date().toISOString(),
        sizeBytes: source.sizeBytes,
        dataBytes: await allocatedBytes(paths.data),
      };
      replaceFile(paths.json, `${JSON.stringify(record, undefined, 2)}\n`);
      this.#records.set(name, record);
      return progress;
    } catch (error) {
      await rm(`${paths.json}.new`, { force: true });
      await this.#removeFiles(name);
      throw error;
    }
  }

  /** Durable when it resolves. @throws CopseError `ERR_NO_SUCH_SNAPSHOT` */
  async remove(name: string): Promise<void> {
    if (!this.#exists(name)) throw noSuchSnapshot(name);
    await this.#removeFiles(name);
  }

  /** One whose record can't be read does, too: nothing of it is overwritten, and it can be removed. */
  #exists(name: string): boolean {
    return this.#records.has(name) || (namePattern.test(name) && existsSync(this.#file(name, 'json')));
  }

  async #removeFiles(name: string): Promise<void> {
    await rm(this.#file(name, 'json'), { force: true });
    this.#records.delete(name);
    syncDirectory(this.#path);
    await Promise.all([rm(this.#file(name, 'map'), { force: true }), rm(this.#file(name, 'data'), { force: true })]);
  }

  #load(name: string, log: Logger): void {
    const path = this.#file(name, 'json');
    try {
      const record = snapshotRecordSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
      if (record.name !== name) throw new CopseError('ERR_NAME', `its record is of "${record.name}"`);
      for (const part of ['data', 'map'] as const) {
        if (!existsSync(this.#file(name, part))) throw new CopseError('ENOENT', `${name}.${part} is missing`);
      }
      this.#records.set(name, record);
    } catch (error) {
      log.error(
        { snapshot: path, code: errorCode(error), reason: errorMessage(error) },
        'this snapshot can not be used: repair its files, or remove them',
      );
    }
  }

  #file(name: string, kind: 'json' | 'data' | 'map'): string {
    return join(this.#path, `${name}.${kind}`);
  }
}

function noSuchSnapshot(name: string): CopseError {
  return new CopseError('ERR_NO_SUCH_SNAPSHOT', `there is no snapshot "${name}" of this disk`);
}

/** A reflink, or else a copy. @throws CopseError `ERR_DISK_IN_USE` when it would have to be a copy and must not */
export async function copyEither(from: string, to: string, options: SnapshotOptions): Promise<CopyProgress> {
  if (await reflink(from, to)) {
    const bytes = await allocatedBytes(to);
    const progress = { doneBytes: bytes, totalBytes: bytes };
    options.onProgress?.(progress);
    return progress;
  }
  if (options.mayCopy) return sparseCopy(from, to, options);
  throw new CopseError(
    'ERR_DISK_IN_USE',
    `the file system of ${to} has no reflinks, so the disk has to be copied, and it must stand still for that: detach its clients first, or keep the state directory on XFS or btrfs`,
  );
}

async function allocatedBytes(path: string): Promise<number> {
  return (await stat(path)).blocks * 512;
}
