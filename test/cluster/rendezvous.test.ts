import { deepEqual, ok } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { WeightedNode } from '../../src/cluster/neighbourhood.js';
import { rank } from '../../src/cluster/placement.js';
import { Electorate, hashText } from '../../src/cluster/rendezvous.js';
import { nodesOf } from './still-neighbourhood.js';

const contentId = '00112233445566778899aabbccddeeff';

const someNodes = (minLength: number): fc.Arbitrary<WeightedNode[]> =>
  fc.uniqueArray(fc.record({ id: fc.string({ minLength: 1, maxLength: 20 }), weight: fc.double({ min: 1, max: 1e13, noNaN: true }) }), {
    minLength,
    maxLength: 12,
    selector: ({ id }) => id,
  });
const someContent = fc.string({ minLength: 1, maxLength: 32 });
const someExtent = fc.nat({ max: 2 ** 31 - 1 });

/** How often each node comes first among `extentCount` extents. */
function countFirsts(nodes: readonly WeightedNode[], extentCount: number, content = contentId): number[] {
  const electorate = new Electorate(nodes);
  const key = hashText(content);
  const counts = nodes.map(() => 0);
  for (let extent = 0; extent < extentCount; extent += 1) {
    const [first] = electorate.best(key, extent, 1);
    if (first !== undefined) counts[first] = (counts[first] ?? 0) + 1;
  }
  return counts;
}

function chiSquare(counts: readonly number[], expected: readonly number[]): number {
  return counts.reduce((sum, count, index) => sum + (count - (expected[index] ?? 0)) ** 2 / (expected[index] ?? 0), 0);
}

/** Eight standard deviations: never by chance. */
function chiSquareLimit(degreesOfFreedom: number): number {
  return degreesOfFreedom + 8 * Math.sqrt(2 * degreesOfFreedom);
}

for (const [name, weight] of [
  ['equal weights', () => 1e12],
  ['weights of 1, 2 and 3', (index: number) => ((index % 3) + 1) * 1e11],
] satisfies [string, (index: number) => number][]) {
  t.test(`the shares of 100 nodes of ${name} are within 10 % of their weights`, async (t) => {
    const extentCount = 250_000;
    const nodes = nodesOf(100, weight);
    const total = nodes.reduce((sum, node) => sum + node.weight, 0);
    const expected = nodes.map((node) => (extentCount * node.weight) / total);
    const counts = countFirsts(nodes, extentCount);
    const worst = Math.max(...counts.map((count, index) => Math.abs(count / (expected[index] ?? 0) - 1)));
    t.ok(worst < 0.1, `the worst is off by ${(worst * 100).toFixed(1)} %`);
    t.ok(chiSquare(counts, expected) < chiSquareLimit(99), 'and no further than chance goes');
  });
}

t.test('shares follow weights, whatever the ids and the content', async (t) => {
  fc.assert(
    fc.property(someNodes(2), someContent, (nodes, content) => {
      // Weights that are orders of magnitude apart would leave some with nothing to count.
      const comparable = nodes.map(({ id, weight }) => ({ id, weight: 1 + (weight % 3) }));
      const total = comparable.reduce((sum, { weight }) => sum + weight, 0);
      const expected = comparable.map(({ weight }) => (2000 * weight) / total);
      return chiSquare(countFirsts(comparable, 2000, content), expected) < chiSquareLimit(nodes.length - 1);
    }),
  );
  t.pass();
});

t.test('who is first says nothing of who is second, of the next extent, or of another content', async (t) => {
  const size = 10;
  const extentCount = 20_000;
  const electorate = new Electorate(nodesOf(size));
  const draw = (content: string, extent: number, place: number): number => electorate.best(hashText(content), extent, 2)[place] ?? -1;
  const pairs = {
    second: (extent: number) => draw(contentId, extent, 1),
    'next extent': (extent: number) => draw(contentId, extent + 1, 0),
    'another content': (extent: number) => draw('00112233445566778899aabbccddeefe', extent, 0),
  };
  for (const [name, other] of Object.entries(pairs)) {
    const counts = new Map<number, number>();
    for (let extent = 0; extent < extentCount; extent += 1) {
      const pair = draw(contentId, extent, 0) * size + other(extent);
      counts.set(pair, (counts.get(pair) ?? 0) + 1);
    }
    const pairCount = name === 'second' ? size * (size - 1) : size * size;
    t.equal(counts.size, pairCount, `${name}: all pairs occur`);
    const expected = Array.from({ length: pairCount }, () => extentCount / pairCount);
    t.ok(chiSquare([...counts.values()], expected) < chiSquareLimit(pairCount - 1), `${name}: equally often`);
  }
});

t.test('the order of the nodes does not matter', async (t) => {
  const shuffled = someNodes(1).chain((nodes) =>
    fc.tuple(fc.constant(nodes), fc.shuffledSubarray(nodes, { minLength: nodes.length, maxLength: nodes.length })),
  );
  fc.assert(
    fc.property(shuffled, someContent, someExtent, ([nodes, others], content, extent) => {
      deepEqual(rank(content, extent, others, nodes.length), rank(content, extent, nodes, nodes.length));
    }),
  );
  t.pass();
});

t.test('nodes that draw the same are in the order of their ids', async (t) => {
  const nodes = ['c', 'a', 'b'].map((id) => ({ id, weight: Number.POSITIVE_INFINITY }));
  t.same(rank(contentId, 1, nodes, 3), ['a', 'b', 'c']);
});

t.test('the best few are the beginning of all', async (t) => {
  fc.assert(
    fc.property(someNodes(0), someContent, someExtent, fc.nat({ max: 14 }), (nodes, content, extent, count) => {
      const all = rank(content, extent, nodes, nodes.length);
      deepEqual([...all].sort(), nodes.map(({ id }) => id).sort());
      deepEqual(rank(content, extent, nodes, count), all.slice(0, count));
    }),
  );
  t.pass();
});

t.test('when a node leaves or joins, the others keep their order: only its own share moves', async (t) => {
  fc.assert(
    fc.property(someNodes(1), someContent, someExtent, fc.nat(), (nodes, content, extent, pick) => {
      const leaver = nodes[pick % nodes.length]?.id ?? '';
      const before = rank(content, extent, nodes, nodes.length);
      const rest = nodes.filter(({ id }) => id !== leaver);
      deepEqual(
        rank(content, extent, rest, rest.length),
        before.filter((id) => id !== leaver),
      );
    }),
  );
  t.pass();
});

t.test('when a weight changes, the others keep their order, and more weight never loses a place', async (t) => {
  fc.assert(
    fc.property(
      someNodes(1),
      someContent,
      someExtent,
      fc.nat(),
      fc.double({ min: 1, max: 1000, noNaN: true }),
      (nodes, content, extent, pick, factor) => {
        const changed = nodes[pick % nodes.length]?.id ?? '';
        const heavier = nodes.map(({ id, weight }) => ({ id, weight: id === changed ? weight * factor : weight }));
        const before = rank(content, extent, nodes, nodes.length);
        const after = rank(content, extent, heavier, nodes.length);
        deepEqual(
          after.filter((id) => id !== changed),
          before.filter((id) => id !== changed),
        );
        ok(after.indexOf(changed) <= before.indexOf(changed));
      },
    ),
  );
  t.pass();
});

t.test('a node that gives nothing is never drawn', async (t) => {
  const nodes = [...nodesOf(2), { id: 'reader', weight: 0 }, { id: 'wrong', weight: Number.NaN }];
  t.same(rank(contentId, 7, nodes, 9).sort(), ['node-000', 'node-001']);
  t.same(rank(contentId, 7, [], 3), []);
});

t.test('versions agree: these are fixed, and a change of them is a change of the peer protocol', async (t) => {
  t.same(hashText(''), { high: -383229654, low: 1446011248 });
  t.same(hashText('node-000'), { high: 753770945, low: 1481680857 });
  const nodes = nodesOf(10, (index) => (index + 1) * 2 ** 30);
  const firsts = [0, 1, 2, 2559, 2 ** 31 - 1].map((extent) => rank(contentId, extent, nodes, 3).join(' '));
  t.same(firsts, [
    'node-008 node-004 node-003',
    'node-008 node-004 node-005',
    'node-009 node-007 node-002',
    'node-007 node-003 node-008',
    'node-006 node-005 node-002',
  ]);
  const many = Array.from({ length: 64 }, (_, extent) => rank(contentId, extent, nodes, 1)[0]?.at(-1)).join('');
  t.equal(many, '8894716687137973866267474394858845396747199567529619881699468879');
});
