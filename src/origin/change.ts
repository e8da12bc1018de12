/** The one text that tells of a changed origin, and what to do about it. */
import { OriginError } from './origin.js';

/**
 * @param what names the origin
 * @param how it differs from what was pinned
 */
export function changedError(what: string, how: string): OriginError {
  const advice = 'the image stays as it was pinned; "copse image repin" with its name moves it to the new version';
  return new OriginError('ERR_ORIGIN_CHANGED', `${what}: the origin changed, ${how}; ${advice}`);
}
