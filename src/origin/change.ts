/**
 * Makes the error of a changed origin: its text names the origin, the difference and the remedy.
 */
import { OriginError } from './origin.js';

/**
 * @param what name of the origin
 * @param how difference from the pinned content, in words
 */
export function changedError(what: string, how: string): OriginError {
  const advice = 'the image stays as it was pinned; "copse image repin" with its name moves it to the new version';
  return new OriginError('ERR_ORIGIN_CHANGED', `${what}: the origin changed, ${how}; ${advice}`);
}
