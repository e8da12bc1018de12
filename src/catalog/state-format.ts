/**
 * The file `format`: the version of a state directory, one line.
 *
 * Invariant: durable before anything else is made in the directory. Versions before 0.2.0 did not
 * sync the file, and a power cut soon after their first start left it empty. Such a file is written
 * again, unless the directory has a name that this version does not know.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CopseError, errorCode } from '../base/error.js';
import type { Logger } from '../base/log.js';
import { replaceFile } from '../base/replace-file.js';
import { isKeptName, upgradeLockName } from './upgrade/kept.js';
import { readVersionRecord, versionFileName } from './upgrade/version-record.js';

const formatLine = 'copse-state 1';

/** Names that version 1 may have in a state directory, and one that mkfs makes. */
const knownNames = new Set([
  ...['format', versionFileName, 'lock', upgradeLockName, 'catalog', 'cache', 'manifest', 'disk', 'run', 'image', 'lost+found'],
  ...['node.json', 'neighbours.json', 'disk-notes.json', 'disk-losses.json', 'disk-origins.json', 'disks-known.json'],
]);

/** Writes the file if it is missing, or came back empty. @throws CopseError `ERR_STATE_VERSION` */
export function checkFormat(dir: string, log: Logger): void {
  const path = join(dir, 'format');
  const found = read(path);
  if (found === formatLine) return;
  if (found === undefined) {
    replaceFile(path, `${formatLine}\n`);
    return;
  }
  if (found !== '') {
    throw new CopseError(
      'ERR_STATE_VERSION',
      `state directory ${dir} says "${found}", this copse reads "${formatLine}": use ${writerOf(dir)}, or another directory by --state`,
    );
  }
  const strange = readdirSync(dir).filter((name) => !knownNames.has(name.replace(/\.new$/, '')) && !isKeptName(name));
  if (strange.length > 0) {
    throw new CopseError(
      'ERR_STATE_VERSION',
      `state directory ${dir}: its file "format" is empty, and ${strange.slice(0, 3).join(', ')} is not of version "${formatLine}": if that version made it, remove what is strange, or write this line into the file`,
    );
  }
  log.warn({ file: path }, `the file was empty, as a power cut soon after the first start leaves it: it says "${formatLine}" again`);
  replaceFile(path, `${formatLine}\n`);
}

/** @returns the version that wrote a directory of another format, if it left a readable record */
function writerOf(dir: string): string {
  try {
    const record = readVersionRecord(dir);
    if (record !== undefined) return `copse ${record.version}, which wrote it, or a newer one`;
  } catch {
    // The record of a far newer version may have another form.
  }
  return 'the version that wrote it';
}

/** A file system may give blocks of zeros back for bytes that were never written. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').replaceAll('\0', '').trim();
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
