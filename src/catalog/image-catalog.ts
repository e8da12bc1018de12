/**
 * Which images exist: one JSON file each in the state directory, replaced atomically and durably,
 * held in memory.
 *
 * A file that can't be read is named in the log and passed over, and the other images are served.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { errorMessage } from '../base/error.js';
import type { Logger } from '../base/log.js';
import { replaceFile, syncDirectory } from '../base/replace-file.js';
import type { Catalog, CatalogListener } from './catalog.js';
import { type ImageRecord, imageRecordSchema } from './image-record.js';

export class ImageCatalog implements Catalog {
  readonly #dir: string;
  readonly #records = new Map<string, ImageRecord>();

  constructor(dir: string, log: Logger) {
    this.#dir = dir;
    for (const file of readdirSync(dir)) {
      if (!file.endsWith('.json')) continue;
      try {
        const record = imageRecordSchema.parse(JSON.parse(readFileSync(join(dir, file), 'utf8')));
        this.#records.set(record.name, record);
      } catch (error) {
        const reason = error instanceof z.ZodError ? z.prettifyError(error) : errorMessage(error);
        log.error(
          { file: join(dir, file), reason },
          'this image is not served: its record is broken; remove the file and add the image again',
        );
      }
    }
  }

  /** Sorted by name. */
  list(): ImageRecord[] {
    return [...this.#records.values()].sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  get(name: string): ImageRecord | undefined {
    return this.#records.get(name);
  }

  /**
   * Is done when it returns, although it resolves later. @throws Error of the file system; then
   * nothing has changed
   */
  async put(record: ImageRecord): Promise<ImageRecord> {
    replaceFile(this.#pathOf(record.name), `${JSON.stringify(record, undefined, 2)}\n`);
    this.#records.set(record.name, record);
    return record;
  }

  /** Is done when it returns, as `put`. */
  async remove(name: string): Promise<void> {
    rmSync(this.#pathOf(name), { force: true });
    syncDirectory(this.#dir);
    this.#records.delete(name);
  }

  /** Never calls back: no other node changes this catalog. */
  onChange(_listener: CatalogListener): () => void {
    return () => {};
  }

  #pathOf(name: string): string {
    return join(this.#dir, `${fileNameOf(name)}.json`);
  }
}

/** The name itself if a file can have it; a file name has at most 255 bytes. */
function fileNameOf(name: string): string {
  const encoded = encodeURIComponent(name);
  if (encoded.length <= 200) return encoded;
  return `${encoded.slice(0, 180)}-${createHash('sha256').update(name).digest('hex').slice(0, 32)}`;
}
