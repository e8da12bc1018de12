/**
 * The files of one disk, `STATE/disk/UUID`: its record, its owner, the overlay's data and map, snapshots.
 *
 *   disk.json     what the disk is (`DiskRecord`)
 *   owner.json    who owns it, and which of the files below are the disk (`folder/owner-file.ts`)
 *   overlay.data  sparse, each block at its own offset; after a revert overlay-N.data
 *   map-EPOCH[-N] a header, then a byte a block (`map-header.ts`, `base/native/overlay.ts`)
 *   snapshot/     SNAP.json, SNAP.data, SNAP.map (`folder/snapshot.ts`)
 *
 * Invariant: after a crash at any point a folder is as before a call or as after it. New files are made beside the old ones, durable, and are the disk once `owner.json` names them; what it does not name is cleared at the next start.
 * Nobody may have the overlay open, or it must be frozen and flushed, while `snapshot`, `revert` and `resize` run; they, and `remove`, run one after another.
 */
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CopseError, errorCode, errorMessage } from '../../base/error.js';
import { type Logger, silentLogger } from '../../base/log.js';
import { makeDirectorySync } from '../../base/make-directory.js';
import { native } from '../../base/native/loader.js';
import type { NativeOverlayFile } from '../../base/native/overlay.js';
import { replaceFile, syncDirectory } from '../../base/replace-file.js';
import { type Room, withRoom } from '../../base/room.js';
import { Serial } from '../../base/serial.js';
import { MiB } from '../../base/size.js';
import { type DiskRecord, diskRecordSchema, type OwnerState } from '../protocol/record.js';
import { checkSize, createFolder, createMap, formatRecord, removedSuffix } from './create.js';
import { checkFiles, clearFiles, copyBytes, freeDataName, freeMapName, isFolderName, isLeftover } from './file.js';
import { mapFileBytes, mapHeaderBytes, recordSeedOf } from './map-header.js';
import { firstDataFile, mapFilePattern, type OwnerFile, readOwnerFile, replaceOwnerFile } from './owner-file.js';
import { copyEither, SnapshotFolder, type SnapshotOptions, type SnapshotRecord } from './snapshot.js';
import type { CopyProgress, SparseCopyOptions } from './sparse-copy.js';

export type { SnapshotOptions, SnapshotRecord } from './snapshot.js';
export type { CopyProgress } from './sparse-copy.js';

export class DiskFolder {
  readonly path: string;
  /** Makes room where files find none. */
  readonly #room: Room | undefined;
  #record: DiskRecord;
  #owner: OwnerFile;
  readonly #snapshots: SnapshotFolder;
  /** Maps that are being written. */
  readonly #writing = new Set<string>();
  readonly #turns = new Serial();
  #failure: CopseError | undefined;

  /**
   * Makes the files of a new disk; durable when it resolves.
   *
   * @param options.states a byte a block, as `NativeOverlayFile.copyMap` gives them; absent: all base
   * @throws CopseError `ERR_DISK_EXISTS`, `ERR_SIZE`, `ENOSPC`
   */
  static async create(
    diskDir: string,
    record: DiskRecord,
    state: Omit<OwnerState, 'map'>,
    options: { states?: Uint8Array | undefined; room?: Room | undefined } = {},
  ): Promise<DiskFolder> {
    const path = join(diskDir, record.uuid);
    const owner = { state: { ...state, map: `map-${state.epoch}` }, data: firstDataFile, sizeBytes: record.sizeBytes };
    const { states, room } = options;
    await withRoom(() => createFolder(path, record, owner, states), { room, lengthBytes: MiB + (states?.length ?? 0) });
    return new DiskFolder(path, silentLogger, room);
  }

  /** Opens all disks of the directory, by uuid, after clearing what a crash left of others. One that can't be opened is said in the log, left untouched, and missing here. */
  static list(diskDir: string, log: Logger, room?: Room): DiskFolder[] {
    makeDirectorySync(diskDir, 0o700);
    const folders: DiskFolder[] = [];
    for (const name of readdirSync(diskDir).sort()) {
      const path = join(diskDir, name);
      try {
        if (isFolderName(name)) folders.push(new DiskFolder(path, log, room));
        else if (isLeftover(name)) rmSync(path, { recursive: true, force: true });
      } catch (error) {
        log.error(
          { disk: path, code: errorCode(error), reason: errorMessage(error) },
          'this disk is not served: repair its files, or move the folder away, and start again',
        );
      }
    }
    return folders;
  }

  /**
   * Opens a folder, and clears what it does not name.
   *
   * @throws CopseError `ERR_DISK_BROKEN`: nothing was changed then
   */
  constructor(path: string, log: Logger, room?: Room) {
    this.path = path;
    this.#room = room;
    try {
      this.#owner = readOwnerFile(join(path, 'owner.json'));
      const record = diskRecordSchema.parse(JSON.parse(readFileSync(join(path, 'disk.json'), 'utf8')));
      this.#record = { ...record, sizeBytes: this.#owner.sizeBytes ?? record.sizeBytes };
      checkFiles(path, this.#record, this.#owner);
      if (this.#record.sizeBytes !== record.sizeBytes) replaceFile(join(path, 'disk.json'), formatRecord(this.#record));
    } catch (error) {
      throw new CopseError('ERR_DISK_BROKEN', `${path} is no disk that can be used`, { cause: error });
    }
    this.#snapshots = new SnapshotFolder(join(path, 'snapshot'), log);
    this.#clear(/^/);
  }

  get record(): DiskRecord {
    return this.#record;
  }

  get state(): OwnerState {
    return this.#owner.state;
  }

  /** Path of the map in force. */
  get mapPath(): string {
    return this.#files.mapPath;
  }

  /**
   * The overlay's files as they are named now.
   *
   * @throws CopseError `ERR_DISK_OPEN` when somebody has them open already, `ERR_DISK_BROKEN` of a rotten map
   */
  openOverlay(): NativeOverlayFile {
    const { uuid, sizeBytes } = this.#record;
    try {
      const { dataPath, mapPath } = this.#files;
      return native.openOverlayFile({ dataPath, mapPath, sizeBytes, recordsOffset: mapHeaderBytes, recordSeed: recordSeedOf(uuid) });
    } catch (error) {
      if (errorCode(error) === 'EAGAIN') throw this.#isOpen(error);
      if (errorCode(error) !== 'EBADMSG') throw error;
      const remedy = 'its checksums are wrong: revert to a snapshot, or restore the file';
      throw new CopseError('ERR_DISK_BROKEN', `map ${this.#files.mapPath} of disk "${this.#record.name}": ${remedy}`, { cause: error });
    }
  }

  /**
   * Durable when it returns. The map that it names must be there.
   *
   * @throws the system's error: everything is as before; CopseError `ERR_DISK_BROKEN`: nobody knows which state is in force, neither this node may act on
   */
  setState(next: OwnerState): void {
    if (!existsSync(join(this.path, next.map)))
      throw new CopseError('ENOENT', `${join(this.path, next.map)}: there is no such map to be named`);
    this.#replaceOwner({ ...this.#owner, state: next });
  }

  /** Writes a map beside the present one, durably, and returns its file name: `setState` with that makes it the one. The states are the call's until it settles. */
  async writeMap(epoch: number, states: Uint8Array): Promise<string> {
    const make = (): Promise<string> => this.#makeMap(epoch, (path) => createMap(path, this.#record, states));
    return withRoom(make, { room: this.#room, lengthBytes: MiB + states.length });
  }

  /** Removes the maps that `owner.json` does not name, but those that are being written. */
  removeStaleMaps(): void {
    this.#clear(mapFilePattern);
  }

  /** Grows the disk, durably when it resolves. @throws CopseError `ERR_SIZE` when it would shrink; `EFBIG` when the file system has no files that large */
  resize(sizeBytes: number): Promise<void> {
    return this.#turns.run(async () => {
      checkSize(sizeBytes);
      const { name, sizeBytes: present } = this.#record;
      if (sizeBytes < present)
        throw new CopseError(
          'ERR_SIZE',
          `disk "${name}" has ${present} bytes and can't shrink to ${sizeBytes}: what lies beyond would be lost`,
        );
      const { dataPath, mapPath } = this.#files;
      truncateSync(dataPath, sizeBytes);
      truncateSync(mapPath, mapFileBytes(sizeBytes));
      this.#replaceOwner({ ...this.#owner, sizeBytes });
      this.#saveRecord({ ...this.#record, sizeBytes });
    });
  }

  /** Gives the disk another name, durably when it returns. @throws the system's error: it has the old name then */
  rename(name: string, renames: number | undefined): void {
    const record = { ...this.#record, name, renames };
    replaceFile(join(this.path, 'disk.json'), formatRecord(record));
    this.#record = record;
  }

  /** Removes the disk with its snapshots: gone, durably, before the first file is deleted. Idempotent; nothing else may be called any more. */
  remove(): Promise<void> {
    return this.#turns.run(async () => {
      const gone = `${this.path}${removedSuffix}`;
      if (existsSync(this.path)) {
        await rm(gone, { recursive: true, force: true });
        renameSync(this.path, gone);
      }
      syncDirectory(dirname(this.path));
      await rm(gone, { recursive: true, force: true });
    });
  }

  /** Oldest first. */
  snapshots(): SnapshotRecord[] {
    return this.#snapshots.list();
  }

  /**
   * Keeps the overlay as it is now. The caller has seen to it that no block is `remote`: what another node has is not kept.
   *
   * @throws CopseError `ERR_NAME`, `ERR_SNAPSHOT_EXISTS`, `ERR_DISK_IN_USE` when it takes a copy and `mayCopy` is not set, `ENOSPC`, `ERR_ABORTED`; nothing is left then
   */
  snapshot(name: string, options: SnapshotOptions): Promise<CopyProgress> {
    return this.#turns.run(() => {
      const source = { ...this.#files, sizeBytes: this.#record.sizeBytes };
      const take = (): Promise<CopyProgress> => this.#snapshots.take(name, source, options);
      return withRoom(take, { room: this.#room, lengthBytes: copyBytes(source), signal: options.signal });
    });
  }

  /**
   * Makes the disk what it was, its size too; the snapshot stays. Nobody may have the overlay open. `nodes` of the state stay as they are, though no block is on another node afterwards.
   *
   * @throws CopseError `ERR_NO_SUCH_SNAPSHOT`, `ENOSPC`, `ERR_ABORTED`; everything is as before then
   */
  revert(name: string, options: SparseCopyOptions = {}): Promise<CopyProgress> {
    return this.#turns.run(async () => {
      const snapshot = this.#snapshots.get(name);
      const data = freeDataName(this.path);
      const dataPath = join(this.path, data);
      try {
        const copy = (): Promise<CopyProgress> => copyEither(snapshot.dataPath, dataPath, { ...options, mayCopy: true });
        const progress = await withRoom(copy, { room: this.#room, lengthBytes: copyBytes(snapshot), signal: options.signal });
        const map = await this.#makeMap(this.state.epoch, async (path) => {
          await copyEither(snapshot.mapPath, path, { signal: options.signal, mayCopy: true });
        });
        syncDirectory(this.path);
        this.#replaceOwner({ state: { ...this.state, map }, data, sizeBytes: snapshot.sizeBytes });
        this.#saveRecord({ ...this.#record, sizeBytes: snapshot.sizeBytes });
        return progress;
      } finally {
        // The old files, or the new ones where it failed.
        if (this.#failure === undefined) this.#clear(/^(?:map-|overlay)/);
      }
    });
  }

  /** @throws CopseError `ERR_NO_SUCH_SNAPSHOT` */
  removeSnapshot(name: string): Promise<void> {
    return this.#turns.run(() => this.#snapshots.remove(name));
  }

  get #files(): { dataPath: string; mapPath: string } {
    return { dataPath: join(this.path, this.#owner.data), mapPath: join(this.path, this.state.map) };
  }

  #isOpen(cause: unknown): CopseError {
    const what = `disk "${this.#record.name}": ${this.path} is open already, and two users of it would write over each other`;
    return new CopseError('ERR_DISK_OPEN', `${what}: end the other one, or wait until it has closed the disk`, { cause });
  }

  #replaceOwner(next: OwnerFile): void {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      replaceOwnerFile(join(this.path, 'owner.json'), next, this.#owner);
    } catch (error) {
      if (error instanceof CopseError) this.#failure = error;
      throw error;
    }
    this.#owner = next;
  }

  /** The size in it is for people: `owner.json` has the one in force, so a failure changes nothing. */
  #saveRecord(record: DiskRecord): void {
    this.#record = record;
    try {
      replaceFile(join(this.path, 'disk.json'), formatRecord(record));
    } catch {
      rmSync(join(this.path, 'disk.json.new'), { force: true });
    }
  }

  async #makeMap(epoch: number, make: (path: string) => Promise<void>): Promise<string> {
    const name = freeMapName(this.path, epoch, this.#writing);
    const path = join(this.path, name);
    this.#writing.add(name);
    try {
      await make(path);
      syncDirectory(this.path);
      return name;
    } catch (error) {
      rmSync(path, { force: true });
      throw error;
    } finally {
      this.#writing.delete(name);
    }
  }

  #clear(pattern: RegExp): void {
    clearFiles(this.path, pattern, new Set([this.#owner.data, this.state.map, ...this.#writing]));
  }
}
