/** Origins as people write them: URLs, and paths relative to where they stand. */
import { resolve } from 'node:path';

/** A relative path becomes absolute; whatever has a scheme stays as it is. */
export function absoluteUrl(url: string, baseDir: string): string {
  return /^[A-Za-z][A-Za-z0-9+.-]*:/.test(url) ? url : resolve(baseDir, url);
}
