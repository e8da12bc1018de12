/**
 * One open file that was the pinned one when it was opened, with checks that it still is.
 *
 * It holds two descriptors of one inode: Node's for fstat, the addon's for reads. The second is
 * opened through the first, so they can't differ. Both are closed once the file is dropped and its
 * last user has left.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import type { NativeBlockFile } from '../../base/native/block.js';
import { native } from '../../base/native/loader.js';
import { changedError } from '../change.js';
import { type FilePin, fileChange, filePin } from './identity.js';

export class OpenedFile {
  readonly path: string;
  readonly file: NativeBlockFile;
  /** The file's identity when it was opened. */
  readonly pin: FilePin;
  readonly #handle: FileHandle;
  #userCount = 0;
  #dropped = false;

  private constructor(path: string, handle: FileHandle, file: NativeBlockFile, pin: FilePin) {
    this.path = path;
    this.#handle = handle;
    this.file = file;
    this.pin = pin;
  }

  /** @throws OriginError `ERR_ORIGIN_REFUSED`; errors of the operating system as they are */
  static async open(path: string): Promise<OpenedFile> {
    // O_NONBLOCK: a FIFO must not keep a thread for ever.
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    let file: NativeBlockFile | undefined;
    try {
      const stats = await handle.stat({ bigint: true });
      filePin(path, stats, () => 0);
      const opened = native.openBlockFile(`/proc/self/fd/${handle.fd}`, { write: false });
      file = opened;
      return new OpenedFile(
        path,
        handle,
        opened,
        filePin(path, stats, () => opened.sizeBytes),
      );
    } catch (error) {
      await Promise.allSettled([handle.close(), file?.close()]);
      throw error;
    }
  }

  use(): void {
    this.#userCount += 1;
  }

  leave(): void {
    this.#userCount -= 1;
    this.#closeIfUnused();
  }

  /** Lets go of the file. The caller of `open` calls it once. */
  drop(): void {
    this.#dropped = true;
    this.#closeIfUnused();
  }

  /**
   * Everything that was read before this resolves was the pinned content. @throws OriginError
   * `ERR_ORIGIN_CHANGED` if the file was written to
   */
  async assertUnchanged(): Promise<void> {
    this.#assertSame(filePin(this.path, await this.#handle.stat({ bigint: true }), () => this.file.sizeBytes));
  }

  /** @throws OriginError `ERR_ORIGIN_CHANGED` if another file took its place */
  async assertInPlace(): Promise<void> {
    this.#assertSame(filePin(this.path, await stat(this.path, { bigint: true }), () => this.file.sizeBytes));
  }

  #assertSame(now: FilePin): void {
    const change = fileChange(this.pin, now);
    if (change !== undefined) throw changedError(this.path, change);
  }

  #closeIfUnused(): void {
    if (!this.#dropped || this.#userCount > 0) return;
    // Nothing was written, so a failed close loses nothing.
    void Promise.allSettled([this.#handle.close(), this.file.close()]);
  }
}
