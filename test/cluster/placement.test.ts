import { deepEqual } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { GiB, KiB, MiB } from '../../src/base/size.js';
import type { PeerContent } from '../../src/cluster/peer.js';
import { extentBytes, Placement, rank } from '../../src/cluster/placement.js';
import { nodesOf, StillNeighbourhood } from './still-neighbourhood.js';

const content: PeerContent = { id: '00112233445566778899aabbccddeeff', sizeBytes: 10 * GiB, chunkBytes: 256 * KiB };
const chunkCount = content.sizeBytes / content.chunkBytes;
const chunksAnExtent = extentBytes / content.chunkBytes;

t.test('a chunk has the homes of its extent, the best three', async (t) => {
  const nodes = nodesOf(7, (index) => index + 1);
  const placement = new Placement(content, new StillNeighbourhood('node-000', nodes));
  for (const chunk of [0, 15, 16, 12_345, chunkCount - 1]) {
    const expected = rank(content.id, Math.floor(chunk / chunksAnExtent), nodes, 3);
    t.same(placement.homes(chunk), expected);
    t.same(placement.homes(chunk), expected, 'remembered');
    t.equal(placement.homeOf(chunk), expected[0]);
    t.same(
      nodes.filter(({ id }) => placement.isHome(chunk, id)).map(({ id }) => id),
      expected.slice(0, 1),
    );
  }
});

t.test('fewer than three nodes are all homes, and none is none', async (t) => {
  t.same([...new Placement(content, new StillNeighbourhood('x', nodesOf(2))).homes(5)].sort(), ['node-000', 'node-001']);
  const nobody = new Placement(content, new StillNeighbourhood('x', []));
  t.same(nobody.homes(5), []);
  t.equal(nobody.homeOf(5), undefined);
  t.same(nobody.formerHomes(5), []);
  t.notOk(nobody.isHome(5, 'node-000'));
});

t.test('chunks of any size are in the extent of their first byte', async (t) => {
  const nodes = nodesOf(5);
  for (const chunkBytes of [64 * KiB, 3 * MiB, 4 * MiB, 16 * MiB]) {
    const placement = new Placement({ ...content, chunkBytes }, new StillNeighbourhood('x', nodes));
    for (const chunk of [0, 1, 2, 63, 64, Math.ceil(content.sizeBytes / chunkBytes) - 1]) {
      t.same(placement.homes(chunk), rank(content.id, Math.floor((chunk * chunkBytes) / extentBytes), nodes, 3));
    }
  }
});

t.test('an image too large to be remembered whole is answered all the same', async (t) => {
  const nodes = nodesOf(5);
  const huge = { ...content, sizeBytes: 1024 * 1024 * GiB };
  const placement = new Placement(huge, new StillNeighbourhood('x', nodes));
  const last = huge.sizeBytes / huge.chunkBytes - 1;
  t.same(placement.homes(last), rank(content.id, huge.sizeBytes / extentBytes - 1, nodes, 3));
  t.equal(placement.bytes, 0);
  placement.homes(0);
  t.ok(placement.bytes < MiB);
});

t.test('answers follow the revision, and are remembered until then', async (t) => {
  const neighbourhood = new StillNeighbourhood('node-000', nodesOf(3));
  const placement = new Placement(content, neighbourhood);
  for (let chunk = 0; chunk < chunkCount; chunk += 1) placement.homeOf(chunk);
  t.equal(neighbourhood.homesAsked, 1);
  const fewer = nodesOf(2);
  neighbourhood.see(fewer);
  for (let chunk = 0; chunk < chunkCount; chunk += chunksAnExtent) {
    if (placement.homeOf(chunk) !== rank(content.id, chunk / chunksAnExtent, fewer, 1)[0]) t.fail(`chunk ${chunk} is where it was`);
  }
  t.equal(neighbourhood.homesAsked, 2);
});

t.test('what is known of nodes that have not changed is kept', async (t) => {
  const neighbourhood = new StillNeighbourhood('node-000', nodesOf(3));
  const placement = new Placement(content, neighbourhood);
  placement.homeOf(0);
  const { bytes } = placement;
  t.equal(bytes, (content.sizeBytes / extentBytes) * 6);
  neighbourhood.revision += 1;
  placement.homeOf(0);
  t.equal(placement.bytes, bytes, 'a revision about something else');
  for (let round = 0; round < 10; round += 1) {
    neighbourhood.see(nodesOf(round % 2 === 0 ? 4 : 3));
    placement.formerHomes(0);
  }
  t.equal(placement.bytes, 2 * bytes, 'two views that take turns are two');
  for (let round = 0; round < 10; round += 1) {
    neighbourhood.see(nodesOf(5 + round));
    placement.formerHomes(0);
  }
  t.equal(placement.bytes, 5 * bytes, 'the present view and four former ones');
});

t.test('when a node leaves or joins, chunks move from it or to it alone', async (t) => {
  const nodes = nodesOf(100);
  const neighbourhood = new StillNeighbourhood('node-000', nodes);
  const placement = new Placement(content, neighbourhood);
  const homesNow = (): (string | undefined)[] => Array.from({ length: chunkCount }, (_, chunk) => placement.homeOf(chunk));
  const before = homesNow();
  neighbourhood.see(nodes.filter(({ id }) => id !== 'node-042'));
  const without = homesNow();
  neighbourhood.see(nodes);
  t.same(homesNow(), before, 'back again, back home');
  const moved = before.filter((home, chunk) => home !== without[chunk]);
  t.same(new Set(moved), new Set(['node-042']));
  t.notOk(without.includes('node-042'));
});

t.test('who may hold what has moved', async (t) => {
  const chunk = 160;
  const extent = chunk / chunksAnExtent;
  const nodes = nodesOf(8);
  const order = rank(content.id, extent, nodes, nodes.length);
  const [first = '', second = '', third = '', fourth = ''] = order;

  t.test('a home that just joined asks those whose extents it took: the next in order', async (t) => {
    const neighbourhood = new StillNeighbourhood(
      first,
      nodes.filter(({ id }) => id !== first),
    );
    neighbourhood.see(nodes);
    t.same(new Placement(content, neighbourhood).formerHomes(chunk), [second, third]);
  });

  t.test('one that was always there asks the next in order, too: it may have restarted', async (t) => {
    t.same(new Placement(content, new StillNeighbourhood(first, nodes)).formerHomes(chunk), [second, third]);
  });

  t.test('the heir of one that left asks it first, for it may only drain', async (t) => {
    const neighbourhood = new StillNeighbourhood(second, nodes);
    neighbourhood.see(nodes.filter(({ id }) => id !== first));
    t.same(new Placement(content, neighbourhood).formerHomes(chunk), [first, third, fourth]);
  });

  t.test('one that is asked as home and does not think so asks the home first', async (t) => {
    t.same(new Placement(content, new StillNeighbourhood(fourth, nodes)).formerHomes(chunk), [first, second, third]);
  });

  t.test('homes of former views, newest first, each once', async (t) => {
    const neighbourhood = new StillNeighbourhood(fourth, nodes);
    const placement = new Placement(content, neighbourhood);
    for (const gone of [[first], [first, second], [first, second, third]]) {
      neighbourhood.see(nodes.filter(({ id }) => !gone.includes(id)));
    }
    const [, , , , fifth, sixth] = order;
    t.same(placement.formerHomes(chunk), [third, second, first, fifth, sixth]);
  });
});

t.test('in any history, everybody that was home within four views is asked', async (t) => {
  const history = fc.array(fc.subarray(nodesOf(8), { minLength: 1 }), { minLength: 1, maxLength: 7 });
  fc.assert(
    fc.property(history, fc.nat({ max: chunkCount - 1 }), fc.constantFrom('node-000', 'elsewhere'), (views, chunk, selfId) => {
      const [oldest = [], ...later] = views;
      const neighbourhood = new StillNeighbourhood(selfId, oldest);
      const placement = new Placement(content, neighbourhood);
      for (const view of later) {
        placement.homeOf(chunk);
        neighbourhood.see(view);
      }
      const extent = Math.floor(chunk / chunksAnExtent);
      const present = rank(content.id, extent, views.at(-1) ?? [], 3);
      const former = views.slice(-5, -1).flatMap((view) => rank(content.id, extent, view, 1));
      const expected = new Set([present[0], ...former.reverse(), ...present.slice(1)]);
      expected.delete(selfId);
      deepEqual(placement.formerHomes(chunk), [...expected]);
      deepEqual(placement.homes(chunk), present);
    }),
  );
  t.pass();
});
