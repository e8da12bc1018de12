/**
 * Names of groups, which Node can't look up. They are read from the group database, as getent(1)
 * shows it.
 */
import { execFileSync } from 'node:child_process';
import { CopseError } from './error.js';

/** @throws CopseError `ERR_CONFIG` if there is no such group */
export function groupIdOf(group: string): number {
  if (/^\d+$/.test(group)) return Number(group);
  try {
    const entry = execFileSync('getent', ['group', '--', group], { encoding: 'utf8' });
    const id = Number(entry.split(':')[2]);
    if (Number.isInteger(id)) return id;
  } catch (error) {
    throw new CopseError('ERR_CONFIG', `socket_group: there is no group "${group}" on this host`, { cause: error });
  }
  throw new CopseError('ERR_CONFIG', `socket_group: "${group}" can't be looked up`);
}
