/** Lines of the table that the small spaces follow. */
import { indexOf, table } from '../../../src/disk/owner/machine.js';
import { explore } from './explore.js';
import { nameOf } from './mutant.js';
import { smallSpaces } from './space.js';
import type { Space } from './world.js';

/** Spaces whose worlds follow a line, by the line's name. */
export async function reachedLines(): Promise<ReadonlyMap<string, readonly Space[]>> {
  const reached = new Map<string, Space[]>(table.map((rule) => [nameOf(rule), []]));
  for (const space of smallSpaces) {
    const rules = indexOf(
      table.map((rule) => ({
        ...rule,
        keep(context) {
          const spaces = reached.get(nameOf(rule));
          if (spaces?.at(-1) !== space) spaces?.push(space);
          return rule.keep?.(context) ?? {};
        },
      })),
    );
    await explore({ space, rules });
  }
  return reached;
}
