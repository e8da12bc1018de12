/**
 * A disk's files as a power loss may leave them: replays the log of what a process wrote. What was synced is there; of the rest, any part is: of writes any sectors, of holes any pages.
 */
import { type LogRecord, RecordKind } from './disk-log.js';
import { sectorBytes } from './disk-workload.js';

const pageBytes = 4096;

/** fallocate(2) */
const keepSize = 1;
const punchHole = 2;
const zeroRange = 16;
/** RWF_DSYNC, RWF_SYNC: pwritev2(2) */
const syncedWrite = 2 | 4;

export interface ReplayOptions {
  /** How many of the log's records have happened. */
  recordCount: number;
  /** Of what is not synced, the share that is on the disk all the same: of each file. */
  keptShare: number[];
  random: (limit: number) => number;
  /** Files whose syncs do nothing, to see what misses them. */
  ignoredSyncs?: number[];
}

interface Change {
  record: LogRecord;
  lengthBytes: number;
  endedAt: number;
}

/** @param initial what the files held, durably, before the log begins */
export function replay(initial: readonly Buffer[], records: readonly LogRecord[], options: ReplayOptions): Buffer[] {
  const { recordCount, keptShare, random, ignoredSyncs = [] } = options;
  const changes: Change[][] = initial.map(() => []);
  const begun = new Map<number, { record: LogRecord; at: number; change: Change | undefined }>();
  /** Of each file: all that ended before this is durable. */
  const syncedAt = initial.map(() => -1);
  for (let at = 0; at < recordCount; at += 1) {
    const record = records[at];
    if (record === undefined) break;
    if (record.kind === RecordKind.end) {
      const beginning = begun.get(record.token);
      if (beginning === undefined) continue;
      begun.delete(record.token);
      const failed = record.lengthBytes < 0;
      if (beginning.change !== undefined) {
        beginning.change.endedAt = at;
        if (failed) beginning.change.lengthBytes = 0;
        else if (beginning.record.kind === RecordKind.write) beginning.change.lengthBytes = record.lengthBytes;
      } else if (!failed && !ignoredSyncs.includes(record.file)) {
        syncedAt[record.file] = Math.max(syncedAt[record.file] ?? -1, beginning.at);
      }
    } else if (record.kind < RecordKind.end) {
      const change =
        record.kind === RecordKind.sync ? undefined : { record, lengthBytes: record.lengthBytes, endedAt: Number.POSITIVE_INFINITY };
      if (change !== undefined) changes[record.file]?.push(change);
      begun.set(record.token, { record, at, change });
    }
  }
  return initial.map((bytes, file) => {
    const image = new FileImage(bytes);
    for (const change of changes[file] ?? []) {
      const isSynced =
        change.endedAt < Number.POSITIVE_INFINITY && (change.record.flags & syncedWrite) !== 0 && change.record.kind === RecordKind.write;
      const durable = change.endedAt < (syncedAt[file] ?? -1) || isSynced;
      image.change(change.record, change.lengthBytes, () => durable || random(1000) < (keptShare[file] ?? 0) * 1000);
    }
    return image.bytes;
  });
}

/** A file on the disk, and as the page cache has it: what a sector gets is what the cache holds of it then, with all that was written before. */
class FileImage {
  readonly #disk: Image;
  readonly #cache: Image;

  constructor(bytes: Buffer) {
    this.#disk = new Image(bytes);
    this.#cache = new Image(bytes);
  }

  get bytes(): Buffer {
    return this.#disk.bytes;
  }

  /** @param isKept is asked for each unit that can be lost by itself */
  change({ kind, offset, flags, payload }: LogRecord, lengthBytes: number, isKept: () => boolean): void {
    const end = offset + lengthBytes;
    if (kind === RecordKind.write) {
      this.#cache.put(payload.subarray(0, lengthBytes), offset);
      this.#keep(offset, end, sectorBytes, isKept);
    } else if (kind === RecordKind.truncate) {
      this.#cache.truncate(lengthBytes);
      if (isKept()) this.#disk.truncate(lengthBytes);
    } else {
      if ((flags & keepSize) === 0 && end > this.#cache.bytes.length) {
        this.#cache.truncate(end);
        if (isKept()) this.#disk.truncate(end);
      }
      if ((flags & (punchHole | zeroRange)) === 0) return;
      this.#cache.put(Buffer.alloc(Math.max(0, Math.min(end, this.#cache.bytes.length) - offset)), offset);
      this.#keep(offset, Math.min(end, this.#cache.bytes.length), pageBytes, isKept);
    }
  }

  #keep(offset: number, end: number, unitBytes: number, isKept: () => boolean): void {
    for (let from = offset - (offset % unitBytes); from < end; from += unitBytes)
      if (isKept()) this.#disk.put(this.#cache.bytes.subarray(from, from + unitBytes), from);
  }
}

/** Bytes that grow. */
class Image {
  #memory: Buffer;
  #sizeBytes: number;

  constructor(bytes: Buffer) {
    this.#memory = Buffer.from(bytes);
    this.#sizeBytes = bytes.length;
  }

  get bytes(): Buffer {
    return this.#memory.subarray(0, this.#sizeBytes);
  }

  put(bytes: Buffer, offset: number): void {
    if (offset + bytes.length > this.#sizeBytes) this.truncate(offset + bytes.length);
    bytes.copy(this.#memory, offset);
  }

  truncate(sizeBytes: number): void {
    if (sizeBytes < this.#sizeBytes) this.#memory.fill(0, sizeBytes, this.#sizeBytes);
    if (sizeBytes > this.#memory.length) {
      const larger = Buffer.alloc(Math.max(sizeBytes, 2 * this.#memory.length));
      this.#memory.copy(larger);
      this.#memory = larger;
    }
    this.#sizeBytes = sizeBytes;
  }
}
