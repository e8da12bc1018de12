/**
 * The state directory that a command works on without a daemon.
 *
 * Invariant: given the same flag and file, it is the directory that `loadConfig` gives the daemon.
 */
import { resolve } from 'node:path';
import { currentSurroundings, defaultStateDir, type Surroundings } from './place.js';

export interface StateChoice {
  /** Directory of the flag `--state`. */
  stateDir?: string | undefined;
  /** The daemon's TOML file. */
  file?: string | undefined;
}

/** @throws CopseError `ERR_CONFIG` */
export async function chooseState({ stateDir, file }: StateChoice, surroundings: Surroundings = currentSurroundings()): Promise<string> {
  if (stateDir !== undefined) return resolve(stateDir);
  const written = file === undefined ? undefined : (await (await import('./read.js')).readConfigFile(file)).config.state;
  return written ?? defaultStateDir(surroundings);
}
