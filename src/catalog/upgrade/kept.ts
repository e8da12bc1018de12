/**
 * `before-VERSION/`: the files that the steps of a version have replaced, at their paths below it.
 *
 * Copse never reads them again. They are for an operator who wants to see the state as it was,
 * until `copse state forget` removes them. No bytes of chunks, disks and snapshots are among them.
 *
 * Invariant: a kept file is durable before its successor takes its place. Steps and `forget` take
 * turns by a lock of their own, so a daemon that serves does not keep `forget` waiting.
 */
import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CopseError, errorCode } from '../../base/error.js';
import { makeDirectorySync } from '../../base/make-directory.js';
import { native } from '../../base/native/loader.js';
import { replaceFile, syncDirectory } from '../../base/replace-file.js';

const prefix = 'before-';
export const upgradeLockName = 'upgrade.lock';

/** A directory of files that a version replaced. */
export interface Kept {
  /** Version of Copse that replaced them. */
  version: string;
  path: string;
  fileCount: number;
  sizeBytes: number;
}

export function isKeptName(name: string): boolean {
  return name.startsWith(prefix);
}

/** Keeps the bytes of a file. Durable when it returns; a file that was kept before is replaced. */
export function keepFile(dir: string, version: string, path: string, bytes: Uint8Array): void {
  const target = join(dir, prefix + version, path);
  makeDirectorySync(dirname(target), 0o700);
  replaceFile(target, bytes);
}

/** @throws CopseError `ERR_STATE` if the directory is no state directory */
export function listKept(dir: string): Kept[] {
  let names: string[];
  try {
    names = readdirSync(dir);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT' && errorCode(error) !== 'ENOTDIR') throw error;
    names = [];
  }
  if (!names.includes('format')) {
    throw new CopseError('ERR_STATE', `${dir} is no state directory: give the daemon's directory by --state or --config`);
  }
  return names
    .filter(isKeptName)
    .sort()
    .map((name) => ({ version: name.slice(prefix.length), path: join(dir, name), ...measure(join(dir, name)) }));
}

/**
 * Removes all kept files, also while a daemon uses the directory.
 *
 * @returns the removed directories
 * @throws CopseError `ERR_STATE` if the directory is no state directory, `ERR_STATE_LOCKED` during
 * steps
 */
export function forgetKept(dir: string): Kept[] {
  const kept = listKept(dir);
  if (kept.length === 0) return kept;
  whileUpgradeLocked(dir, () => {
    for (const { path } of kept) rmSync(path, { recursive: true, force: true });
    syncDirectory(dir);
  });
  return kept;
}

/** @throws CopseError `ERR_STATE_LOCKED` */
export function whileUpgradeLocked(dir: string, action: () => void): void {
  const descriptor = native.lockFile(join(dir, upgradeLockName));
  if (descriptor < 0) {
    throw new CopseError('ERR_STATE_LOCKED', `state directory ${dir} is being upgraded or its kept files removed: try again`);
  }
  try {
    action();
  } finally {
    native.unlockFile(descriptor);
  }
}

function measure(path: string): { fileCount: number; sizeBytes: number } {
  const files = readdirSync(path, { recursive: true, encoding: 'utf8' })
    .map((name) => lstatSync(join(path, name)))
    .filter((found) => found.isFile());
  return { fileCount: files.length, sizeBytes: files.reduce((sum, { size }) => sum + size, 0) };
}
