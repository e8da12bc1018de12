/**
 * The token that requests to the admin API on TCP carry. Imports little, so that commands start
 * fast.
 */
import { open } from 'node:fs/promises';
import { CopseError, errorMessage } from '../base/error.js';
import { Secret } from '../base/secret.js';

const minTokenChars = 16;
const readableByOthers = 0o004;

/**
 * Reads a file whose first line is the token: 16 or more printable ASCII characters.
 *
 * @throws CopseError `ERR_CONFIG` if the file can't be read, other users can read it, or the line
 *   is no token
 */
export async function readAdminToken(path: string): Promise<Secret> {
  try {
    return await readToken(path);
  } catch (error) {
    throw new CopseError('ERR_CONFIG', `admin token ${path}: ${errorMessage(error)}`, { cause: error });
  }
}

async function readToken(path: string): Promise<Secret> {
  const handle = await open(path, 'r');
  try {
    const { mode } = await handle.stat();
    if ((mode & readableByOthers) !== 0) throw new Error('every user of this host can read it: chmod o-r');
    const token = (await handle.readFile('utf8')).split(/\r?\n/)[0] ?? '';
    if (token.length < minTokenChars || !/^[\x21-\x7e]+$/.test(token)) {
      throw new Error(
        `its first line must be ${minTokenChars} or more printable ASCII characters without spaces: "openssl rand -hex 32" makes such a token`,
      );
    }
    return new Secret(token);
  } finally {
    await handle.close();
  }
}
