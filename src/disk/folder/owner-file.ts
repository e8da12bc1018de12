/**
 * `owner.json`: who owns the disk, and which files are the disk. The one switch of a folder: whatever changes more than one file makes the new ones beside the old, and is done when this file is replaced.
 *
 * Source: docs/reference/formats.md, "A disk's folder".
 */
import { readFileSync, rmSync } from 'node:fs';
import { z } from 'zod';
import { CopseError } from '../../base/error.js';
import { replaceFile } from '../../base/replace-file.js';
import { type OwnerState, ownerStateSchema } from '../protocol/record.js';

export const firstDataFile = 'overlay.data';

export const dataFilePattern = /^overlay(-\d+)?\.data$/;
export const mapFilePattern = /^map-\d+(-\d+)?$/;

const ownerFileSchema = ownerStateSchema.extend({
  map: z.string().regex(mapFilePattern),
  /** File name of the overlay's data. */
  data: z.string().regex(dataFilePattern).default(firstDataFile),
  /** The disk's; `disk.json` follows it. */
  sizeBytes: z.int().positive().optional(),
});

export interface OwnerFile {
  state: OwnerState;
  data: string;
  /** Absent: as in `disk.json`. */
  sizeBytes?: number | undefined;
}

export function formatOwnerFile({ state, data, sizeBytes }: OwnerFile): string {
  return `${JSON.stringify(ownerFileSchema.parse({ ...state, data, sizeBytes }), undefined, 2)}\n`;
}

/** @throws SyntaxError, ZodError, errors of the operating system */
export function readOwnerFile(path: string): OwnerFile {
  const { data, sizeBytes, ...state } = ownerFileSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  return { state, data, sizeBytes };
}

/**
 * Replaces the file, durably.
 *
 * @throws the system's error when the old state is in force, as it was; CopseError `ERR_DISK_BROKEN` when nobody can tell which of the two is: the disk must not be used before the next start
 */
export function replaceOwnerFile(path: string, next: OwnerFile, previous: OwnerFile): void {
  try {
    replaceFile(path, formatOwnerFile(next));
  } catch (error) {
    restore(path, previous, error);
    throw error;
  }
}

/** The new text may have taken its place before the failure: then the old one takes it back, or a start would find what its caller was told did not happen. */
function restore(path: string, previous: OwnerFile, cause: unknown): void {
  try {
    rmSync(`${path}.new`, { force: true });
    const text = formatOwnerFile(previous);
    if (readFileSync(path, 'utf8') !== text) replaceFile(path, text);
  } catch (error) {
    const reason = new AggregateError([cause, error], 'written, and not taken back');
    throw new CopseError(
      'ERR_DISK_BROKEN',
      `${path}: nobody can tell whether it was replaced: see what is wrong with the disk below it and start again`,
      {
        cause: reason,
      },
    );
  }
}
