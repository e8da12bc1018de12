/** Archives of states that releases have written: `state/VERSION.tar.gz`, with its content in `state/VERSION.json`. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** From dist/test/upgrade. */
const folder = fileURLToPath(new URL('../../../test/upgrade/state', import.meta.url));

/** Content of one archive. */
export interface KeptState {
  version: string;
  /** Id of the node. */
  node: string;
  /** SHA-256 by name of an image or disk. */
  digests: Record<string, string>;
  snapshot: { disk: string; name: string; digest: string };
  /** Client that another client displaced; its address. */
  fenced: { disk: string; address: string };
  /** Disk that went to another node, which is away. */
  went: string;
}

export function keptStates(): { archive: string; state: KeptState }[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => ({
      archive: join(folder, name.replace(/\.json$/, '.tar.gz')),
      state: JSON.parse(readFileSync(join(folder, name), 'utf8')) as KeptState,
    }));
}
