/** Lines of the table that some world of the small spaces follows. */
import { indexOf, table } from '../../../src/disk/owner/machine.js';
import { explore } from './explore.js';
import { nameOf } from './mutant.js';
import { smallSpaces } from './space.js';
import { firstWorld } from './world.js';

export async function reachedLines(): Promise<ReadonlySet<string>> {
  const reached = new Set<string>();
  const rules = indexOf(
    table.map((rule) => ({
      ...rule,
      keep(context) {
        reached.add(nameOf(rule));
        return rule.keep?.(context) ?? {};
      },
    })),
  );
  for (const budget of smallSpaces) await explore({ first: firstWorld(budget), rules });
  return reached;
}
