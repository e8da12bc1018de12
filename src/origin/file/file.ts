/**
 * Files and block devices as origins, on this host or on NFS.
 *
 * Invariant: a piece is delivered only after a check behind its read saw the file unchanged. So a
 * file that is truncated or written to meanwhile ends in `ERR_ORIGIN_CHANGED`, never in zeros or
 * new bytes.
 *
 * A copy takes the pinned file's place (on another host, after a restore) if a digest proves it, or
 * if the content is sealed.
 */

import { type Clock, systemClock } from '../../base/clock.js';
import { waitFor } from '../../base/deadline.js';
import { AbortedError, ClosedError, errorCode } from '../../base/error.js';
import type { SourceReadOptions } from '../../block/read-options.js';
import type { RangeSink } from '../../block/sink.js';
import { changedError } from '../change.js';
import { type Origin, OriginError } from '../origin.js';
import { GuardedSink } from '../sink.js';
import { originPath } from '../url.js';
import { type DigestOptions, digestOfOrigin } from './digest.js';
import { type FilePin, fileChange, fileError, isDevicePin } from './identity.js';
import { OpenedFile } from './opened-file.js';
import { PiecePool } from './pool.js';

export interface FileOptions {
  clock?: Clock | undefined;
  /**
   * Longest time between two checks that the path still names the same file, in ms; default 1000.
   * Changes in place are noticed at once.
   */
  pathCheckMs?: number | undefined;
  /** True if the caller verifies each chunk. Then any file of the pinned size will do. */
  sealed?: boolean | undefined;
}

/** Buffers that all files share: 4 MiB at rest. */
const pool = new PiecePool(256 * 1024, 16);
const maxExtentCount = 256;

export class FileOrigin implements Origin {
  readonly url: string;
  readonly identity: FilePin;
  readonly #path: string;
  readonly #clock: Clock;
  readonly #pathCheckMs: number;
  readonly #sealed: boolean;
  readonly #closing = new AbortController();
  /**
   * The other file that was last found in the pinned file's place, and whether it is a copy. To
   * tell, all of it is read once.
   */
  #found: { pin: FilePin; isCopy: boolean } | undefined;
  #opening: Promise<OpenedFile> | undefined;
  #checkedMs = 0;
  #closed = false;

  /**
   * Touches no file. @throws OriginError `ERR_ORIGIN_REFUSED` if `url` is no absolute path or
   * `file:` URL
   */
  constructor(url: string, identity: FilePin, options: FileOptions = {}) {
    this.#path = originPath(url);
    this.url = url;
    this.identity = identity;
    this.#clock = options.clock ?? systemClock;
    this.#pathCheckMs = options.pathCheckMs ?? 1000;
    this.#sealed = options.sealed ?? false;
  }

  get sizeBytes(): number {
    return this.identity.sizeBytes;
  }

  async read(offset: number, lengthBytes: number, sink: RangeSink, options: SourceReadOptions = {}): Promise<void> {
    if (lengthBytes === 0) return;
    const { signal } = options;
    const guarded = new GuardedSink(sink);
    let opened: OpenedFile | undefined;
    try {
      opened = await waitFor(this.#what(offset), this.#acquire(), { signal });
      opened.use();
      await waitFor(this.#what(offset), this.#checkPath(opened), { signal });
      await this.#readOpened(opened, offset, lengthBytes, guarded, signal);
    } catch (error) {
      if (guarded.failure !== undefined) throw guarded.failure.error;
      // The next read opens the path anew: the pinned file may be back, or NFS may want a new
      // handle.
      if (opened !== undefined && !(error instanceof AbortedError)) this.#drop(opened);
      throw this.#sealed ? replacedError(this.#path, error, opened) : fileError(this.#path, error);
    } finally {
      opened?.leave();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#closing.abort();
    const opening = this.#opening;
    this.#opening = undefined;
    const opened = await opening?.catch(() => undefined);
    opened?.drop();
  }

  #what(offset: number): string {
    return `${this.#path} at ${offset}`;
  }

  #acquire(): Promise<OpenedFile> {
    if (this.#closed) return Promise.reject(new ClosedError(this.#path));
    if (this.#opening === undefined) {
      const opening = this.#open();
      this.#opening = opening;
      opening.catch(() => {
        if (this.#opening === opening) this.#opening = undefined;
      });
    }
    return this.#opening;
  }

  async #open(): Promise<OpenedFile> {
    const opened = await OpenedFile.open(this.#path);
    try {
      const change = await this.#changeOf(opened.pin);
      if (change !== undefined) throw changedError(this.#path, change);
    } catch (error) {
      opened.drop();
      throw error;
    }
    this.#checkedMs = this.#clock.nowMs();
    return opened;
  }

  /**
   * @returns the difference between the file at the path and the pinned content, in words;
   * `undefined` if there is none
   */
  async #changeOf(now: FilePin): Promise<string | undefined> {
    const { identity } = this;
    const change = fileChange(identity, now);
    if (change === undefined || now.sizeBytes !== identity.sizeBytes) return change;
    if (this.#sealed) return undefined;
    if (identity.digest === undefined) return change;
    if (this.#found === undefined || fileChange(this.#found.pin, now) !== undefined) {
      const digest = await digestOfFile(this.#path, now, { signal: this.#closing.signal });
      this.#found = { pin: now, isCopy: digest === identity.digest };
    }
    return this.#found.isCopy ? undefined : `${change}, and its digest is another`;
  }

  #drop(opened: OpenedFile): void {
    const opening = this.#opening;
    void opening?.then(
      (current) => {
        if (current !== opened || this.#opening !== opening) return;
        this.#opening = undefined;
        opened.drop();
      },
      () => {},
    );
  }

  async #checkPath(opened: OpenedFile): Promise<void> {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#checkedMs < this.#pathCheckMs) return;
    this.#checkedMs = nowMs;
    await opened.assertInPlace();
  }

  /** Delivers zeros for holes without a read. The rest goes in pieces through the pool. */
  async #readOpened(
    opened: OpenedFile,
    offset: number,
    lengthBytes: number,
    sink: RangeSink,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const end = offset + lengthBytes;
    let at = offset;
    while (at < end) {
      const extents = await waitFor(this.#what(at), opened.file.extents(at, end - at, maxExtentCount), { signal });
      await waitFor(this.#what(at), opened.assertUnchanged(), { signal });
      const start = at;
      for (let index = 0; index + 1 < extents.length; index += 2) {
        const extentBytes = extents[index] ?? 0;
        if (extents[index + 1] === 1) sink.zeroes(extentBytes);
        else await this.#readData(opened, at, extentBytes, sink, signal);
        at += extentBytes;
      }
      if (at === start) throw changedError(this.#path, 'it ends before the pinned size');
    }
  }

  async #readData(
    opened: OpenedFile,
    offset: number,
    lengthBytes: number,
    sink: RangeSink,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const end = offset + lengthBytes;
    for (let at = offset; at < end; at += pool.pieceBytes) {
      const pieceBytes = Math.min(end - at, pool.pieceBytes);
      const piece = pool.take();
      const reading = readPiece(opened, piece, pieceBytes, at);
      try {
        await waitFor(this.#what(at), reading, { signal });
        sink.data(piece.subarray(0, pieceBytes));
      } finally {
        // A read that was given up may still write to its piece.
        void reading.then(
          () => pool.give(piece),
          () => pool.give(piece),
        );
      }
    }
  }
}

async function readPiece(opened: OpenedFile, piece: Buffer, pieceBytes: number, offset: number): Promise<void> {
  opened.use();
  try {
    await opened.file.read(piece, 0, pieceBytes, offset);
    await opened.assertUnchanged();
  } finally {
    opened.leave();
  }
}

export interface FilePinOptions {
  signal?: AbortSignal | undefined;
  /**
   * True if the pin gets a digest of the whole file, so that hosts with copies can recognise them.
   * Not for block devices, which change unnoticed.
   */
  digest?: boolean | undefined;
  /** Receives the progress of the digest. */
  onDigestProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

/**
 * Pins the file or block device as it is now.
 *
 * @throws OriginError `ERR_ORIGIN_REFUSED`, `ERR_ORIGIN_UNAVAILABLE`; with a digest also
 * `ERR_ORIGIN_CHANGED` if the file was written to meanwhile
 */
export async function pinFile(url: string, options: FilePinOptions = {}): Promise<FilePin> {
  const path = originPath(url);
  const { signal } = options;
  let pin: FilePin;
  try {
    const opening = OpenedFile.open(path);
    opening.then(
      (opened) => opened.drop(),
      () => {},
    );
    pin = (await waitFor(path, opening, { signal })).pin;
  } catch (error) {
    throw fileError(path, error);
  }
  if (!options.digest || isDevicePin(pin)) return pin;
  return { ...pin, digest: await digestOfFile(path, pin, { signal, onProgress: options.onDigestProgress }) };
}

/** @throws OriginError, also `ERR_ORIGIN_CHANGED` if the file stopped being the pinned one */
async function digestOfFile(path: string, pin: FilePin, options: DigestOptions): Promise<string> {
  const origin = new FileOrigin(path, pin);
  try {
    return await digestOfOrigin(origin, options);
  } finally {
    await origin.close();
  }
}

/**
 * The error for sealed content that was open: the file that took its place may be as good, and the
 * next try opens it.
 */
function replacedError(path: string, error: unknown, opened: OpenedFile | undefined): unknown {
  const cause = fileError(path, error);
  if (opened === undefined || errorCode(cause) !== 'ERR_ORIGIN_CHANGED') return cause;
  return new OriginError('ERR_ORIGIN_UNAVAILABLE', `${path} was replaced or written to while it was read`, { cause });
}
