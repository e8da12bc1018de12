/**
 * Loss of a disk's data: a sync failed after writes had been acknowledged.
 *
 * The mark beside the disk's map is the first place that knows it (`native/core/overlay_loss.h`). `DiskLosses` is the
 * second: one small file of the state directory, for the case that the first could not be written.
 *
 * Invariant: a loss that either place knows ends by `forget` alone, which an operator asks for. An entry counts for the
 * map that it names: a disk that was reverted has new files, and nothing of them was lost.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { CopseError, errorCode, errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import { replaceFile } from '../../base/replace-file.js';

/** The mark's fields. Each is absent where a crash or another failure left the mark without its text. */
const markSchema = z.object({
  copse: z.literal('loss'),
  format: z.literal(1),
  /** Time of the failed sync, ISO 8601. */
  at: z.string(),
  /** Time at which the process had opened the disk. */
  openedAt: z.string(),
  /** Start of the last flush that succeeded in that process; absent: none did. */
  lastSyncAt: z.string().optional(),
  /** Code of the failed sync, `EIO` say. */
  error: z.string(),
});

export interface DiskLoss {
  at?: string | undefined;
  openedAt?: string | undefined;
  lastSyncAt?: string | undefined;
  error?: string | undefined;
  /** True if a later process will know of it. */
  isMarked: boolean;
}

export function parseLoss(text: string, isMarked: boolean): DiskLoss {
  try {
    const { at, openedAt, lastSyncAt, error } = markSchema.parse(JSON.parse(text));
    return { at, openedAt, lastSyncAt, error, isMarked };
  } catch {
    return { isMarked };
  }
}

/** Says which writes may be lost. */
export function describeLoss(name: string, loss: DiskLoss): string {
  const { at, openedAt, lastSyncAt, error } = loss;
  const failed = at === undefined ? 'a sync of its data failed' : `at ${at} a sync of its data failed (${error})`;
  const since = lastSyncAt ?? openedAt;
  const lost = since === undefined ? 'writes that no flush had covered by then' : `writes acknowledged since ${since}`;
  return `disk "${name}" lost data: ${failed}; ${lost} may be gone, and blocks may read as they were before`;
}

export function lossError(name: string, loss: DiskLoss, cause?: unknown): CopseError {
  const remedy = `no flush succeeds until "copse disk accept-loss ${name}" says that this is known`;
  return new CopseError('ERR_DATA_LOST', `${describeLoss(name, loss)}; ${remedy}`, { cause });
}

const fileSchema = z.object({
  format: z.literal(1),
  /** By uuid. `mark` is the text of the mark. */
  losses: z.record(z.string(), z.object({ map: z.string(), mark: z.string() })),
});

type Losses = z.infer<typeof fileSchema>['losses'];

export class DiskLosses {
  readonly #path: string;
  readonly #log: Logger;
  #losses: Losses;

  /** @throws CopseError `ERR_STATE` when the file can't be read: going on without it could let a flush succeed that must not */
  constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
    this.#losses = read(path);
  }

  /** Text of the mark of a disk whose map has that name. */
  get(uuid: string, map: string): string | undefined {
    const entry = this.#losses[uuid];
    return entry?.map === map ? entry.mark : undefined;
  }

  /** Notes a loss, durably where that is possible. Returns whether it was; until the process ends it counts either way. */
  add(uuid: string, map: string, mark: string): boolean {
    this.#losses = { ...this.#losses, [uuid]: { map, mark } };
    return this.#save();
  }

  /** The loss was accepted, or the disk has other files now. */
  forget(uuid: string): void {
    if (this.#losses[uuid] === undefined) return;
    const { [uuid]: _forgotten, ...rest } = this.#losses;
    this.#losses = rest;
    this.#save();
  }

  #save(): boolean {
    try {
      replaceFile(this.#path, `${JSON.stringify({ format: 1, losses: this.#losses }, undefined, 2)}\n`);
      return true;
    } catch (error) {
      this.#log.error({ file: this.#path, reason: errorMessage(error) }, 'which disks lost data could not be written here');
      return false;
    }
  }
}

function read(path: string): Losses {
  try {
    return fileSchema.parse(JSON.parse(readFileSync(path, 'utf8'))).losses;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return {};
    const remedy = 'restore it, or remove it if no disk lost data';
    throw new CopseError('ERR_STATE', `${path} can't be read: ${errorMessage(error)}; ${remedy}`, { cause: error });
  }
}
