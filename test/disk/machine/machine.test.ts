/**
 * Ownership explored: in every world of the small spaces all invariants hold, and a table with one effect dropped, or
 * swapped with its neighbour, breaks one of them. The page shows the table as it is.
 *
 * The larger spaces: node dist/test/disk/machine/main.js. The same faults over real folders: test/disk/handover.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { table } from '../../../src/disk/owner/machine.js';
import { assertOrder } from '../../../src/disk/owner/order.js';
import type { Facts } from '../../../src/disk/owner/state.js';
import { equivalents, unshown } from './equivalent.js';
import { explore } from './explore.js';
import { exemptionOf, type Mutant, mutants } from './mutant.js';
import { printed } from './page.js';
import { reachedLines } from './reached.js';
import { smallSpaces, textOf } from './space.js';
import type { Space } from './world.js';

t.test('every world of the small spaces', async (t) => {
  for (const space of smallSpaces) {
    const startMs = performance.now();
    const { worldCount, isWhole, violation, way } = await explore({ space });
    t.equal(violation, undefined, (way ?? []).join('\n'));
    t.ok(isWhole);
    t.comment(`${textOf(space)}: ${worldCount} worlds in ${Math.round(performance.now() - startMs)} ms`);
  }
});

t.test('broken tables', async (t) => {
  const reached = await reachedLines();
  const unreached = [...reached].filter(([, spaces]) => spaces.length === 0).map(([line]) => line);
  t.same(unreached, [], 'some small space follows each line');
  const listed = new Map([...equivalents, ...unshown]);
  const counts = { found: 0, exempt: 0, equivalent: 0, unshown: 0 };
  const missed: string[] = [];
  const used = new Set<string>();
  for (const mutant of mutants()) {
    const { name, line } = mutant;
    const exemption = exemptionOf(mutant);
    if (exemption !== undefined) {
      counts.exempt += 1;
      t.comment(`exempt: ${name}: ${exemption}`);
      continue;
    }
    const reason = listed.get(name);
    const found = await violationIn(reached.get(line) ?? [], mutant, reason === undefined ? 4500 : 600);
    if (reason !== undefined) used.add(name);
    if (found !== undefined) {
      counts.found += 1;
      t.equal(reason, undefined, `${name} is listed, and is found: ${found}`);
      t.comment(`found: ${name}: ${found}`);
    } else if (reason !== undefined) {
      const kind = equivalents.has(name) ? 'equivalent' : 'unshown';
      counts[kind] += 1;
      t.comment(`${kind}: ${name}: ${reason}`);
    } else {
      missed.push(name);
      t.comment(`NOT FOUND: ${name}`);
    }
  }
  t.same(missed, [], 'every other one is found');
  t.same(
    [...listed.keys()].filter((name) => !used.has(name)),
    [],
    'the list names mutants that are tried',
  );
  t.comment(JSON.stringify(counts));
});

/** @param maxWorlds number of worlds of each space in which the broken table is tried */
async function violationIn(spaces: readonly Space[], { rules }: Mutant, maxWorlds: number): Promise<string | undefined> {
  for (const space of spaces) {
    const { violation, way = [] } = await explore({ space, rules, maxWorlds });
    if (violation !== undefined) return `${violation}, in ${way.length} steps`;
  }
  return undefined;
}

t.test('the order of effects is asserted', async (t) => {
  const node = { id: 'B', address: 'B' };
  const facts: Facts = {
    ...{ file: { state: 'owner', epoch: 1 }, hasFiles: true, heldEpoch: 1, refusedEpoch: 0, force: undefined, told: undefined },
    ...{ selfId: 'A', isExplicit: false, isLossy: false, hasSnapshots: false },
  };
  const granted = { kind: 'persist', file: { state: 'granted', to: { ...node, accepted: false } } } as const;
  const fence = { kind: 'fence', by: node, epoch: 2 } as const;
  const lanes = { kind: 'refreshLanes', isAwaited: true } as const;
  const reply = { kind: 'reply', answer: 'handover' } as const;
  const work = { kind: 'grant', id: '1', phase: '', node } as const;
  t.doesNotThrow(() => assertOrder([fence, granted, lanes, reply], facts, work));
  t.throws(() => assertOrder([granted, fence, lanes, reply], facts, work), /fences/);
  t.throws(() => assertOrder([fence, granted, reply, lanes], facts, work), /lanes/);
  t.throws(() => assertOrder([fence, reply, granted, lanes], facts, work), /durable/);
  t.throws(() => assertOrder([{ kind: 'ask', method: 'accepted', node, epoch: 2 }], facts, work), /durable/);
  t.throws(() => assertOrder([{ kind: 'reply', answer: 'refused' }], facts, { ...work, kind: 'resolve', epoch: 2 }), /promise/);
  t.throws(() => assertOrder([{ kind: 'removeFolder' }], facts, work), /note/);
});

t.test('the page', async (t) => {
  t.ok(table.length > 80, `${table.length} lines`);
  const page = readFileSync(fileURLToPath(new URL('../../../../docs/architecture/ownership.md', import.meta.url)), 'utf8');
  t.equal(printed(page), page, 'docs/architecture/ownership.md has the table as it is: node dist/test/disk/machine/print.js');
});
