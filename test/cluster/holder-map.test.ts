import { deepEqual } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { GiB, KiB } from '../../src/base/size.js';
import { HolderMap } from '../../src/cluster/holder-map.js';
import type { PeerContent } from '../../src/cluster/peer.js';

/** The last chunk is a short one. */
function contentOf(chunkCount: number): PeerContent {
  return { id: '00112233445566778899aabbccddeeff', sizeBytes: chunkCount * 4 * KiB - 512, chunkBytes: 4 * KiB };
}

t.test('it says who holds a chunk', async (t) => {
  const map = new HolderMap(contentOf(100));
  t.same(map.holders(5), []);
  map.add('a', 5, 10);
  map.add('b', 14, 1);
  t.same(map.holders(4), []);
  t.same(map.holders(5), ['a']);
  t.same(map.holders(14).sort(), ['a', 'b']);
  t.same(map.holders(15), []);
  map.remove('a', 14);
  t.same(map.holders(14), ['b']);
  t.same(map.holders(13), ['a']);
  map.remove('nobody', 14);
  map.drop('b');
  t.same(map.holders(14), []);
  t.same(map.peerIds, ['a']);
});

t.test('chunks beyond the content are nobody’s', async (t) => {
  const map = new HolderMap(contentOf(10));
  map.add('a', 8, 1000);
  map.add('a', 12, 1);
  map.remove('a', 5000);
  t.same(map.holders(9), ['a']);
  t.same(map.holders(10), []);
  t.same(map.holders(15), []);
  t.same(map.holders(-1), []);
  t.equal(map.heldRun('a', 8, 1000), 2);
});

t.test('what a peer answers replaces what was known of the range that it answered for', async (t) => {
  const content = contentOf(8);
  const map = new HolderMap(content);
  map.add('a', 0, 8);
  map.set(
    'a',
    [
      { lengthBytes: 4096, cached: false },
      { lengthBytes: 2048, cached: true },
      { lengthBytes: 2048, cached: true },
      { lengthBytes: 6144, cached: true },
      { lengthBytes: 2048, cached: false },
    ],
    4096,
  );
  t.same(
    [0, 1, 2, 3, 4, 5, 6, 7].filter((chunk) => map.holders(chunk).includes('a')),
    [0, 2, 3, 5, 6, 7],
    'half a chunk is none, two halves of one are',
  );
  map.set('a', [{ lengthBytes: content.sizeBytes, cached: false }]);
  t.equal(map.heldRun('a', 0, 8), 0);
  map.set('b', [{ lengthBytes: content.sizeBytes, cached: true }]);
  t.equal(map.heldRun('b', 0, 8), 8, 'the last chunk is short, and held');
  map.set('b', []);
  t.equal(map.heldRun('b', 0, 8), 8, 'no answer changes nothing');
});

t.test('a model of sets agrees', async (t) => {
  const chunkCount = 77;
  const content = contentOf(chunkCount);
  const peerId = fc.constantFrom('a', 'b', 'c');
  const chunk = fc.nat({ max: chunkCount - 1 });
  const step = fc.oneof(
    fc.record({ kind: fc.constant('add' as const), peerId, chunk, count: fc.nat({ max: 90 }) }),
    fc.record({ kind: fc.constant('remove' as const), peerId, chunk }),
    fc.record({ kind: fc.constant('drop' as const), peerId }),
    fc.record({
      kind: fc.constant('set' as const),
      peerId,
      chunk,
      runs: fc.array(fc.record({ count: fc.integer({ min: 1, max: 30 }), cached: fc.boolean() }), { maxLength: 6 }),
    }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const map = new HolderMap(content);
      const model = new Map<string, Set<number>>();
      const held = (id: string): Set<number> => {
        const known = model.get(id) ?? new Set<number>();
        model.set(id, known);
        return known;
      };
      for (const each of steps) {
        if (each.kind === 'add') {
          map.add(each.peerId, each.chunk, each.count);
          for (let at = each.chunk; at < Math.min(each.chunk + each.count, chunkCount); at += 1) held(each.peerId).add(at);
        } else if (each.kind === 'remove') {
          map.remove(each.peerId, each.chunk);
          model.get(each.peerId)?.delete(each.chunk);
        } else if (each.kind === 'drop') {
          map.drop(each.peerId);
          model.delete(each.peerId);
        } else {
          const runs = each.runs.map(({ count, cached }) => ({ lengthBytes: count * content.chunkBytes, cached }));
          map.set(each.peerId, runs, each.chunk * content.chunkBytes);
          let at = each.chunk;
          for (const { count, cached } of each.runs) {
            for (const end = at + count; at < end; at += 1) {
              if (cached && at < chunkCount) held(each.peerId).add(at);
              else held(each.peerId).delete(at);
            }
          }
          held(each.peerId);
        }
      }
      for (let at = 0; at < chunkCount; at += 1) {
        const holders = [...model].filter(([, chunks]) => chunks.has(at)).map(([id]) => id);
        deepEqual(map.holders(at).sort(), holders.sort());
      }
      for (const [id, chunks] of model) {
        let run = 0;
        while (chunks.has(10 + run)) run += 1;
        deepEqual(map.heldRun(id, 10, 20), Math.min(run, 20));
      }
    }),
  );
  t.pass();
});

t.test('asking the first holder spreads the load, however many chunks a caller looks at for each request', async (t) => {
  for (const holderCount of [2, 4, 7]) {
    for (const looks of [1, 2, 4]) {
      const map = new HolderMap(contentOf(4));
      for (let peer = 0; peer < holderCount; peer += 1) map.add(`peer-${peer}`, 0, 4);
      const counts = new Map<string, number>();
      for (let request = 0; request < 7000; request += 1) {
        const [first = ''] = map.holders(0);
        for (let look = 1; look < looks; look += 1) map.holders(look);
        counts.set(first, (counts.get(first) ?? 0) + 1);
      }
      const share = 7000 / holderCount;
      t.equal(counts.size, holderCount);
      t.ok(
        [...counts.values()].every((count) => Math.abs(count / share - 1) < 0.15),
        `${holderCount} holders, ${looks} looks: ${[...counts.values()]}`,
      );
    }
  }
});

t.test('memory is a bit a chunk and peer, and peers are bounded', async (t) => {
  const map = new HolderMap({ ...contentOf(1), sizeBytes: 10 * GiB, chunkBytes: 256 * KiB });
  t.equal(map.bytes, 0);
  map.add('a', 0, 1);
  t.equal(map.bytes, 5120);
  for (let peer = 0; peer < 3000; peer += 1) map.add(`peer-${peer}`, 0, 1);
  t.equal(map.bytes, 1024 * 5120);
  t.equal(map.holders(0).length, 1024);
  map.add('beyond', 0, 1);
  t.equal(map.heldRun('beyond', 0, 1), 0);
  map.drop('a');
  map.add('beyond', 0, 1);
  t.equal(map.heldRun('beyond', 0, 1), 1);
});
