/**
 * Files of images that disks were promoted to, if the operator named none. They belong to this
 * daemon, and go with their image.
 *
 * A file that is to go is marked first, durably, by an empty file beside it. It goes when no image,
 * disk or open content reads it any more, or at a later start. The mark stays until then. It goes,
 * too, if an image of the catalog has the file again.
 *
 * Invariants: a file without a mark is never removed, and neither is a file that is read. No
 * failure here fails a command.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorCode, errorMessage } from '../base/error.js';
import type { Logger } from '../base/log.js';
import { replaceFile, syncDirectory } from '../base/replace-file.js';
import { type ContentSpec, contentsUnder } from '../catalog/image-record.js';
import type { ManifestStore } from '../manifest/store.js';

export interface PromotedFilesOptions {
  dir: string;
  store: ManifestStore;
  /** Contents of the catalog's images. */
  images(): readonly ContentSpec[];
  /** Contents that disks of any node, and clients, stand on now. */
  others(): readonly ContentSpec[];
  log: Logger;
}

const markSuffix = '.removed';
/** Bound on a name. A file name has at most 255 bytes, and suffixes are added. */
const longestName = 180;

export class PromotedFiles {
  readonly #options: PromotedFilesOptions;
  #sweeping: Promise<void> = Promise.resolve();

  constructor(options: PromotedFilesOptions) {
    this.#options = options;
  }

  /** Returns a path for a new file, by the image's name. No image has it, and none had it. */
  pathFor(image: string): string {
    const name = encodeURIComponent(image);
    const path = join(this.#options.dir, `${name.slice(0, longestName)}.raw`);
    const isTaken =
      name.length > longestName || existsSync(path) || existsSync(`${path}${markSuffix}`) || readBy(path, this.#options.images());
    return isTaken ? join(this.#options.dir, `${name.slice(0, longestName)}-${randomBytes(4).toString('hex')}.raw`) : path;
  }

  /** Marks the file of an image before the image leaves the catalog. The file goes from now on. */
  mark({ url, manifest }: Pick<ContentSpec, 'url' | 'manifest'>): void {
    const { dir, log } = this.#options;
    if (dirname(url) !== dir || !existsSync(url)) return;
    try {
      replaceFile(`${url}${markSuffix}`, `${JSON.stringify({ manifest: manifest?.digest })}\n`);
    } catch (error) {
      log.warn({ file: url, reason: errorMessage(error) }, 'the file of a removed image could not be marked: remove it by hand');
    }
  }

  /**
   * Removes marked files that are not read. Sweeps run one after another, so that each sees the
   * present state.
   */
  sweep(): Promise<void> {
    const done = this.#sweeping.then(async () => {
      for (const mark of this.#marks()) {
        await this.#remove(mark).catch((error: unknown) =>
          this.#options.log.warn({ mark, reason: errorMessage(error) }, 'the file of a removed image could not be removed yet'),
        );
      }
    });
    this.#sweeping = done;
    return done;
  }

  #marks(): string[] {
    const { dir } = this.#options;
    mkdirSync(dir, { recursive: true });
    return readdirSync(dir)
      .filter((name) => name.endsWith(markSuffix))
      .map((name) => join(dir, name));
  }

  async #remove(mark: string): Promise<void> {
    const { store, log } = this.#options;
    const path = mark.slice(0, -markSuffix.length);
    const digest = manifestOf(await readFile(mark, 'utf8'));
    // No await from here to the end of the file's removal, so the state that was checked still
    // holds.
    if (readBy(path, this.#options.images())) {
      rmSync(mark, { force: true });
      return;
    }
    if (readBy(path, this.#options.others())) return;
    rmSync(path, { force: true });
    syncDirectory(dirname(path));
    log.info({ file: path }, 'removed the file of a removed image');
    const used = [...this.#options.images(), ...this.#options.others()];
    if (digest !== undefined && !used.some(({ manifest }) => manifest?.digest === digest)) {
      await store.remove(digest).catch((error: unknown) => {
        if (errorCode(error) !== 'ERR_DIGEST') throw error;
      });
    }
    rmSync(mark, { force: true });
  }
}

function readBy(path: string, specs: readonly ContentSpec[]): boolean {
  return specs.some((spec) => contentsUnder(spec).some(({ url }) => url === path));
}

function manifestOf(text: string): string | undefined {
  try {
    const { manifest } = JSON.parse(text) as { manifest?: unknown };
    return typeof manifest === 'string' ? manifest : undefined;
  } catch {
    return undefined;
  }
}
