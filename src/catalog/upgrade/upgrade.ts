/**
 * Brings the files of a state directory to the formats of this version. Runs at each start, under
 * the state's lock, before any other part reads the directory.
 *
 * Order:
 * 1. Read all files and compute all steps in memory. A newer format or a step that fails ends the
 *   start here, with nothing written: the version before still opens the state.
 * 2. Write the version record. From here on an older version refuses the state if it can't read it.
 * 3. For each file that changes: keep its bytes below `before-VERSION/`, then replace it.
 *
 * Invariant: each file is replaced as a whole, by bytes that follow from the file alone. So a start
 * that is killed at any moment is repeated from the beginning by the next one.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CopseError, errorCode, errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import { replaceFile } from '../../base/replace-file.js';
import { keepFile, whileUpgradeLocked } from './kept.js';
import { type FileKind, latestFormat } from './step.js';
import { newerState, readVersionRecord, refuseNewer, type VersionRecord, writeVersionRecord } from './version-record.js';

export interface UpgradeOptions {
  log: Logger;
  /** Version of this Copse. */
  version: string;
  kinds: readonly FileKind[];
}

interface Change {
  /** Path relative to the state directory. */
  path: string;
  kind: FileKind;
  from: number;
  before: Buffer;
  after: Uint8Array;
}

/**
 * Durable when it returns.
 *
 * @throws CopseError `ERR_STATE_VERSION` for a newer state, `ERR_STATE_UPGRADE` for a step that
 * fails
 */
export function upgradeState(dir: string, { log, version, kinds }: UpgradeOptions): void {
  const record = readVersionRecord(dir);
  refuseNewer(dir, record, kinds);
  const changes = kinds.flatMap((kind) => filesOf(kind, dir).flatMap((path) => plan(dir, path, kind, { record, version }) ?? []));
  if (changes.length === 0) {
    recordUnlessFull(dir, { log, version, kinds });
    return;
  }
  whileUpgradeLocked(dir, () => {
    writeVersionRecord(dir, version, kinds);
    for (const { path, kind, from, before, after } of changes) {
      keepFile(dir, version, path, before);
      replaceFile(join(dir, path), after);
      log.info({ file: join(dir, path), from, to: latestFormat(kind) }, `the file has the format of copse ${version} now`);
    }
  });
}

/**
 * Writes the record. On a full disk the start goes on without it, because only a running daemon can
 * evict chunks and so make room. The next start writes it.
 */
function recordUnlessFull(dir: string, { log, version, kinds }: UpgradeOptions): void {
  try {
    writeVersionRecord(dir, version, kinds);
  } catch (error) {
    const code = errorCode(error);
    if (code !== 'ENOSPC' && code !== 'EDQUOT') throw error;
    log.warn({ reason: errorMessage(error) }, 'no space for the record of the version: the next start writes it');
  }
}

/**
 * A start that was killed may have left PATH.new beside a file; the next replacement overwrites it.
 */
function filesOf(kind: FileKind, dir: string): string[] {
  return kind.paths(dir).filter((path) => !path.endsWith('.new'));
}

/** @returns `undefined` if the file stays as it is */
function plan(
  dir: string,
  path: string,
  kind: FileKind,
  { record, version }: { record: VersionRecord | undefined; version: string },
): Change | undefined {
  const before = readFileSync(join(dir, path));
  const from = kind.formatOf(before);
  const latest = latestFormat(kind);
  if (from === undefined || from === latest) return undefined;
  if (from > latest) throw newerState(dir, record, `${path} in format ${from}`);
  let after: Uint8Array = before;
  for (let format = from; format < latest; format += 1) {
    try {
      after = kind.steps[format - 1]?.(Buffer.from(after)) ?? after;
      const reached = kind.formatOf(Buffer.from(after));
      if (reached !== format + 1) throw new Error(`the step made format ${reached}`);
    } catch (error) {
      throw new CopseError(
        'ERR_STATE_UPGRADE',
        `${join(dir, path)} can't be brought from format ${format} to ${format + 1}: ${errorMessage(error)}; ` +
          `nothing was changed: use ${record === undefined ? 'the version before' : `copse ${record.version}`} again, or mend the file and start copse ${version}`,
        { cause: error },
      );
    }
  }
  return { path, kind, from, before, after };
}
