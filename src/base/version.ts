/** The version of this program, from its package.json. */
import { readFileSync } from 'node:fs';

/** dist/src/base/version.js lies four levels below the package's root. */
const packageUrl = new URL('../../../package.json', import.meta.url);

export const version: string = (JSON.parse(readFileSync(packageUrl, 'utf8')) as { version: string }).version;
