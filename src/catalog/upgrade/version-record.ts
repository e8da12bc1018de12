/**
 * `version`: the Copse that used a state directory last, and the newest format of each kind of file
 * that this Copse writes.
 *
 * Invariants: the record is durable before any file gets a format that an older Copse does not
 * know. A Copse that finds a newer format in it opens nothing and names the version that wrote it.
 * 0.1.0 neither writes nor reads the record.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { CopseError, errorCode, errorMessage } from '../../base/error.js';
import { replaceFile } from '../../base/replace-file.js';
import { type FileKind, latestFormat } from './step.js';

/** Fields may be added; this part stays readable for all versions. */
const recordSchema = z.object({
  /** Version of Copse, for the message of an older Copse that refuses the state. */
  version: z.string().max(64),
  /** Number of the newest format by kind of file. */
  formats: z.record(z.string(), z.int().positive()),
});

export type VersionRecord = z.infer<typeof recordSchema>;

export const versionFileName = 'version';

/**
 * @returns `undefined` in a new state directory and in one of 0.1.0. @throws CopseError `ERR_STATE`
 */
export function readVersionRecord(dir: string): VersionRecord | undefined {
  const path = join(dir, versionFileName);
  try {
    return recordSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw new CopseError(
      'ERR_STATE',
      `${path} can't be read: ${errorMessage(error)}; remove it if no newer copse has used this state directory`,
      { cause: error },
    );
  }
}

/** Writes the record unless it says the same already. Durable when it returns. */
export function writeVersionRecord(dir: string, version: string, kinds: readonly FileKind[]): void {
  const formats = Object.fromEntries(kinds.map((kind) => [kind.name, latestFormat(kind)]));
  const before = readVersionRecord(dir);
  if (before !== undefined && JSON.stringify(before) === JSON.stringify({ version, formats })) return;
  replaceFile(join(dir, versionFileName), `${JSON.stringify({ version, formats })}\n`);
}

/**
 * @throws CopseError `ERR_STATE_VERSION` if the record names a kind or a format that the kinds do
 * not have
 */
export function refuseNewer(dir: string, record: VersionRecord | undefined, kinds: readonly FileKind[]): void {
  for (const [name, format] of Object.entries(record?.formats ?? {})) {
    const kind = kinds.find((each) => each.name === name);
    if (kind === undefined || format > latestFormat(kind)) throw newerState(dir, record, `"${name}" in format ${format}`);
  }
}

export function newerState(dir: string, record: VersionRecord | undefined, found: string): CopseError {
  const writer = record === undefined ? 'a newer copse' : `copse ${record.version}`;
  return new CopseError(
    'ERR_STATE_VERSION',
    `state directory ${dir} was written by ${writer} and has ${found}, which this copse does not know: use that version or a newer one, or another directory by --state`,
  );
}
