/**
 * What one hosted disk's files are worth: its flushes, the reasons of their failures, and a loss of data.
 *
 * Invariant: a loss is written down, in both places where that is possible, before the failed flush is answered.
 */
import { dirname } from 'node:path';
import { CopseError, errorCode, errorMessage } from '../../base/error.js';
import { foreignErrorCode } from '../../base/error-code.js';
import type { Logger } from '../../base/log.js';
import type { NativeOverlayFile } from '../../base/native/overlay.js';
import { type Room, withRoom } from '../../base/room.js';
import { MiB } from '../../base/size.js';
import { type DiskLoss, type DiskLosses, describeLoss, lossError, parseLoss } from './loss.js';

export interface FootingOptions {
  overlay: NativeOverlayFile;
  name: string;
  uuid: string;
  /** Path of the map file in force. */
  mapPath: string;
  /** Absent where nothing keeps losses beside the disk's own mark. */
  losses: DiskLosses | undefined;
  /** Makes room where a flush finds none for the map. */
  room?: Room | undefined;
  log: Logger;
}

export class DiskFooting {
  readonly #options: FootingOptions;
  #isNoted = false;
  /** True from an `EROFS` to the next flush that succeeds: a kernel that stopped writing need not say so of the mount. */
  #isReadOnly = false;

  /** Looks in both places whether data was lost before, and says so in the log. */
  constructor(options: FootingOptions) {
    this.#options = options;
    const { overlay, uuid, losses } = options;
    const noted = losses?.get(uuid, this.#mapName);
    if (noted === undefined) losses?.forget(uuid);
    else if (overlay.loss === undefined) overlay.rememberLoss(noted);
    this.#note();
  }

  get loss(): DiskLoss | undefined {
    const { loss } = this.#options.overlay;
    return loss === undefined ? undefined : parseLoss(loss.text, loss.isMarked);
  }

  get state(): NativeOverlayFile['footing'] {
    const { footing } = this.#options.overlay;
    return footing === 'firm' && this.#isReadOnly ? 'read-only' : footing;
  }

  /** Text for people: trouble of the place where the files are. */
  get trouble(): string | undefined {
    const folder = dirname(this.#options.mapPath);
    switch (this.state) {
      case 'unlinked':
        return `its files were removed or replaced below the daemon (${folder}): nothing that is written is kept; copy what it reads now elsewhere`;
      case 'read-only':
        return `the file system of ${folder} is read-only: nothing can be written until it is repaired and mounted again`;
      default:
        return undefined;
    }
  }

  /** Flushes the overlay. @throws CopseError as `explain` */
  async flush(): Promise<void> {
    const { overlay } = this.#options;
    try {
      await withRoom(() => overlay.flush(), { room: this.#roomUnlessLost, lengthBytes: MiB });
      this.#isReadOnly = false;
    } catch (error) {
      if (errorCode(error) !== 'ERR_CLOSED') this.#note();
      throw this.explain(error);
    }
  }

  /** Adds to an error of the overlay what an operator has to know. The code stays, unless data was lost or files are gone. */
  explain(error: unknown): unknown {
    const { name, mapPath } = this.#options;
    const code = errorCode(error);
    if (error instanceof CopseError || code === 'ERR_CLOSED' || code === 'ENOSPC') return error;
    if (code === 'EROFS') this.#isReadOnly = true;
    const { trouble, loss } = this;
    const said = (what: string): string => `disk "${name}": ${what} (${errorMessage(error)})`;
    if (code === 'ESTALE') return new CopseError('ERR_FILES_GONE', said(trouble ?? 'its files are not its own any more'), { cause: error });
    if (loss !== undefined && isOfSync(error)) return lossError(name, loss, error);
    if (trouble !== undefined) return new CopseError(foreignErrorCode(code), said(trouble), { cause: error });
    if (!isOfSync(error) || pathOf(error) !== mapPath) return error;
    const what = 'its map could not be synced: no data is lost by that, and the next flush writes the map again';
    return new CopseError(foreignErrorCode(code), said(what), { cause: error });
  }

  /** @throws the system's error while syncs fail: nothing has changed then */
  async acceptLoss(): Promise<void> {
    const { overlay, losses, name, uuid, log } = this.#options;
    const { loss } = this;
    if (loss === undefined) return;
    try {
      await overlay.acceptLoss();
    } catch (error) {
      const remedy = 'the disk below it does not take writes yet: repair that, and try again';
      throw new CopseError(foreignErrorCode(errorCode(error)), `disk "${name}": ${errorMessage(error)}; ${remedy}`, { cause: error });
    }
    losses?.forget(uuid);
    this.#isNoted = false;
    log.warn({ disk: name, loss }, 'an operator accepted that this disk lost data: flushes succeed again');
  }

  /** No room brings lost data back. */
  get #roomUnlessLost(): Room | undefined {
    const { room, overlay } = this.#options;
    return room === undefined ? undefined : async (lengthBytes) => overlay.loss === undefined && (await room(lengthBytes));
  }

  get #mapName(): string {
    return this.#options.mapPath.slice(dirname(this.#options.mapPath).length + 1);
  }

  /** Writes a new loss down in the second place, and says it once. */
  #note(): void {
    const { overlay, losses, name, uuid, log } = this.#options;
    const { loss } = overlay;
    if (loss === undefined || this.#isNoted) return;
    this.#isNoted = true;
    const isNoted = losses?.get(uuid, this.#mapName) === loss.text || losses?.add(uuid, this.#mapName, loss.text) === true;
    const told = parseLoss(loss.text, loss.isMarked);
    log.error({ disk: name, loss: told }, `${describeLoss(name, told)}: no flush succeeds until "copse disk accept-loss ${name}"`);
    if (loss.isMarked || isNoted) return;
    log.fatal(
      { disk: name },
      'the loss could not be written down: after a restart this disk would pass for whole; save it, or keep the daemon running',
    );
  }
}

function isOfSync(error: unknown): boolean {
  return ['fdatasync', 'pwrite'].includes((error as NodeJS.ErrnoException).syscall ?? '');
}

function pathOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).path;
}
