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
import { explore } from './explore.js';
import { equivalenceOf, type Mutant, mutants } from './mutant.js';
import { printed } from './page.js';
import { reachedLines } from './reached.js';
import { smallSpaces } from './space.js';
import { survivors } from './survivor.js';
import { firstWorld } from './world.js';

t.test('every world of the small spaces', async (t) => {
  for (const budget of smallSpaces) {
    const startMs = performance.now();
    const { worldCount, isWhole, violation, way } = await explore({ first: firstWorld(budget) });
    t.equal(violation, undefined, (way ?? []).join('\n'));
    t.ok(isWhole);
    t.comment(`${JSON.stringify(budget)}: ${worldCount} worlds in ${Math.round(performance.now() - startMs)} ms`);
  }
});

t.test('broken tables', async (t) => {
  const reached = await reachedLines();
  const counts = { found: 0, elsewhere: 0, unreached: 0, survived: 0 };
  const unknown: string[] = [];
  for (const mutant of mutants()) {
    const { name, line } = mutant;
    const [kind, reason] = exemptionOf(mutant, reached);
    if (kind !== undefined) {
      counts[kind] += 1;
      t.comment(`${kind}: ${name}: ${reason}`);
      continue;
    }
    let found: string | undefined;
    for (const budget of smallSpaces) {
      const { violation, way = [] } = await explore({ first: firstWorld(budget), rules: mutant.rules, maxWorlds: 9000 });
      if (violation === undefined) continue;
      found = `${violation}, in ${way.length} steps`;
      break;
    }
    if (found === undefined) unknown.push(`${line}: ${name}`);
    else counts.found += 1;
    t.comment(`${found === undefined ? 'NOT FOUND' : 'found'}: ${name}: ${found ?? ''}`);
  }
  t.same(unknown, [], 'every other one is found');
  t.comment(JSON.stringify(counts));
  t.ok(counts.found >= 60, `${counts.found} are found`);
});

type Exemption = 'elsewhere' | 'unreached' | 'survived';

function exemptionOf(mutant: Mutant, reached: ReadonlySet<string>): [Exemption | undefined, string] {
  const elsewhere = equivalenceOf(mutant);
  if (elsewhere !== undefined) return ['elsewhere', elsewhere];
  if (!reached.has(mutant.line)) return ['unreached', 'no small space follows its line'];
  const survivor = survivors.find(({ is }) => is.test(mutant.name));
  return survivor === undefined ? [undefined, ''] : ['survived', survivor.reason];
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
