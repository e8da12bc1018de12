/**
 * Makes a directory and its parents. Node's own recursive mkdir tries for ever below `/proc`.
 *
 * Invariants: each directory on the way is tried at most twice. A failure is one line with path and
 * reason. The names of the directories that `makeDirectorySync` makes are durable when it returns.
 */
import { mkdirSync, statSync } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CopseError, errorCode, errorMessage } from './error.js';
import { syncDirectory } from './replace-file.js';

/** @throws CopseError `ERR_DIRECTORY` */
export function makeDirectorySync(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode });
    syncDirectory(dirname(path));
  } catch (error) {
    if (errorCode(error) === 'EEXIST') {
      if (!isDirectorySync(path)) throw inTheWay(path);
      return;
    }
    if (errorCode(error) !== 'ENOENT' || dirname(path) === path) throw failure(path, error);
    makeDirectorySync(dirname(path), mode);
    try {
      mkdirSync(path, { mode });
      syncDirectory(dirname(path));
    } catch (again) {
      if (errorCode(again) !== 'EEXIST' || !isDirectorySync(path)) throw failure(path, again);
    }
  }
}

/**
 * Does the same as `makeDirectorySync` for paths whose file system may be slow. @throws CopseError
 * `ERR_DIRECTORY`
 */
export async function makeDirectory(path: string, mode: number): Promise<void> {
  try {
    await mkdir(path, { mode });
  } catch (error) {
    if (errorCode(error) === 'EEXIST') {
      if (!(await isDirectory(path))) throw inTheWay(path);
      return;
    }
    if (errorCode(error) !== 'ENOENT' || dirname(path) === path) throw failure(path, error);
    await makeDirectory(dirname(path), mode);
    try {
      await mkdir(path, { mode });
    } catch (again) {
      if (errorCode(again) !== 'EEXIST' || !(await isDirectory(path))) throw failure(path, again);
    }
  }
}

function isDirectorySync(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

function inTheWay(path: string): CopseError {
  return new CopseError(
    'ERR_DIRECTORY',
    `${path} can't be made: a file that is no directory is in the way; remove it or choose another path`,
  );
}

function failure(path: string, cause: unknown): CopseError {
  return new CopseError('ERR_DIRECTORY', `${path} can't be made: ${reason(cause)}; choose another path`, { cause });
}

function reason(cause: unknown): string {
  switch (errorCode(cause)) {
    case 'ENOENT':
      return 'this file system takes no new directories';
    case 'ENOTDIR':
      return 'a part of the path is a file';
    case 'EACCES':
    case 'EPERM':
      return 'permission denied';
    case 'EROFS':
      return 'the file system is read-only';
    case 'ENAMETOOLONG':
      return 'a name in it, or the whole path, is too long';
    case 'ENOSPC':
    case 'EDQUOT':
      return 'no space is left there';
    case 'ELOOP':
      return 'its links lead in a circle';
    default:
      return errorMessage(cause);
  }
}
