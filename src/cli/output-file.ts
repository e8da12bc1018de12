/**
 * Writes a file by another program. It appears under its name only when it is whole and durable.
 */
import { randomBytes } from 'node:crypto';
import { open, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { CopseError, errorCode, errorMessage } from '../base/error.js';
import { foreignErrorCode } from '../base/error-code.js';

export interface OutputFile {
  /** Absolute. */
  path: string;
  /** Bytes on disk. */
  allocatedBytes: number;
}

/**
 * Writes a file, and leaves nothing behind if that fails.
 *
 * @param file path relative to the working directory. A link is followed
 * @param options `force` permits to replace a file, once the new one is whole
 * @param write writes the file at a temporary path
 * @throws CopseError `ERR_FILE_EXISTS`, `ERR_OUTPUT`; the error of `write`
 */
export async function writeOutputFile(
  file: string,
  options: { force: boolean },
  write: (temporaryPath: string) => Promise<void>,
): Promise<OutputFile> {
  const path = await checkPlace(resolve(file), options.force);
  const temporaryPath = `${path}.${randomBytes(6).toString('hex')}.part`;
  try {
    await write(temporaryPath);
    return { path, allocatedBytes: await settle(temporaryPath, path) };
  } catch (error) {
    await rm(temporaryPath, { force: true });
    throw error;
  }
}

/** @returns path of the file, with links resolved */
async function checkPlace(path: string, force: boolean): Promise<string> {
  try {
    const existing = await stat(path).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    });
    if (existing === undefined) {
      await stat(dirname(path));
      return path;
    }
    if (!existing.isFile()) throw new CopseError('ERR_OUTPUT', 'it is not a regular file: give the path of one');
    if (!force) throw new CopseError('ERR_FILE_EXISTS', 'it exists: choose another path, or add --force to replace it');
    return await realpath(path);
  } catch (error) {
    throw error instanceof CopseError
      ? new CopseError(foreignErrorCode(error.code), `${path}: ${error.message}`)
      : new CopseError('ERR_OUTPUT', `${path} can't be written: ${errorMessage(error)}`, { cause: error });
  }
}

async function settle(temporaryPath: string, path: string): Promise<number> {
  try {
    const handle = await open(temporaryPath, 'r');
    let allocatedBytes: number;
    try {
      await handle.sync();
      allocatedBytes = (await handle.stat()).blocks * 512;
    } finally {
      await handle.close();
    }
    await rename(temporaryPath, path);
    const dir = await open(dirname(path), 'r');
    try {
      await dir.sync();
    } finally {
      await dir.close();
    }
    return allocatedBytes;
  } catch (error) {
    const code = errorCode(error) === 'ENOSPC' ? 'ENOSPC' : 'ERR_OUTPUT';
    throw new CopseError(code, `${path} can't be written: ${errorMessage(error)}`, { cause: error });
  }
}
