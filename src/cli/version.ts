/** The version in package.json. */
import { readFileSync } from 'node:fs';

/** dist/src/cli/version.js and src/cli/version.ts lie at different depths below the package's root. */
export function packageVersion(): string {
  const depth = import.meta.url.includes('/dist/src/') ? '../../../' : '../../';
  const { version } = JSON.parse(readFileSync(new URL(`${depth}package.json`, import.meta.url), 'utf8')) as { version: string };
  return version;
}
