/**
 * Which images exist: one JSON file each in the state directory, replaced atomically and durably, held in memory.
 *
 * A file that can't be read is set aside by its name in the log, and the others are served.
 */
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { errorMessage } from '../base/error.js';
import type { Logger } from '../base/log.js';
import { type ImageRecord, imageRecordSchema } from './image-record.js';

export class ImageCatalog {
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

  /** Adds or replaces; durable when it returns. */
  put(record: ImageRecord): void {
    const path = this.#pathOf(record.name);
    const temporaryPath = `${path}.new`;
    writeFileSync(temporaryPath, `${JSON.stringify(record, undefined, 2)}\n`, { mode: 0o600, flush: true });
    renameSync(temporaryPath, path);
    this.#syncDir();
    this.#records.set(record.name, record);
  }

  /** Durable when it returns. */
  remove(name: string): void {
    rmSync(this.#pathOf(name), { force: true });
    this.#syncDir();
    this.#records.delete(name);
  }

  #pathOf(name: string): string {
    return join(this.#dir, `${fileNameOf(name)}.json`);
  }

  #syncDir(): void {
    const descriptor = openSync(this.#dir, 'r');
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  }
}

/** The name itself where a file can have it; a file name has at most 255 bytes. */
function fileNameOf(name: string): string {
  const encoded = encodeURIComponent(name);
  if (encoded.length <= 200) return encoded;
  return `${encoded.slice(0, 180)}-${createHash('sha256').update(name).digest('hex').slice(0, 32)}`;
}
