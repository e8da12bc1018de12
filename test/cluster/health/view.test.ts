import t from 'tap';
import { type LiveNode, View } from '../../../src/cluster/health/view.js';
import type { NodeStatement, SharedContent } from '../../../src/cluster/node.js';
import type { Peer } from '../../../src/cluster/peer.js';
import { contentIdOf, sharedContent, statementOf } from '../../peer/node-statement.js';

const peers = new Map<string, Peer>();

function peerOf(id: string): Peer {
  const fail = () => Promise.reject(new Error('not asked here'));
  const peer = peers.get(id) ?? { id, readHome: fail, readHeld: fail, cacheHome: fail, cachedRuns: fail };
  peers.set(id, peer);
  return peer;
}

/** Serving content 1; `a` is this node. */
function node(id: string, overrides: Partial<NodeStatement> = {}, content: Partial<SharedContent> = {}): LiveNode {
  const statement = statementOf(id, { contents: [sharedContent(1, content)], ...overrides });
  return { statement, peer: id === 'a' ? undefined : peerOf(id) };
}

const content = contentIdOf(1);
const idsOf = (nodes: readonly { id: string }[]): string => nodes.map(({ id }) => id).join('');

t.test('homes are live, giving, not draining, and reach the origin; holders serve', async (t) => {
  const view = new View();
  const all = [
    node('a'),
    node('b', { donatedBytes: 7 }),
    node('c', { donatedBytes: 0 }),
    node('d', { draining: true }),
    node('e', {}, { originReachable: false }),
    node('f', { contents: [] }),
  ];
  t.ok(view.update(all));
  t.same(view.homesOf(content), [
    { id: 'a', weight: 2 ** 30 },
    { id: 'b', weight: 7 },
  ]);
  t.equal(idsOf(view.holdersOf(content)), 'bcde');
  t.same(view.homesOf(contentIdOf(2)), []);
  t.same(view.holdersOf(contentIdOf(2)), []);
  t.same(view.formerHomesOf(contentIdOf(2)), []);
});

t.test('when nobody reaches the origin, all that could be home are', async (t) => {
  const view = new View();
  const cut = { originReachable: false };
  view.update([node('a', {}, cut), node('b', {}, cut), node('c', { donatedBytes: 0 }, cut), node('d', { draining: true }, cut)]);
  t.equal(idsOf(view.homesOf(content)), 'ab');
});

t.test('an answer is another array only when it is another answer', async (t) => {
  const view = new View();
  view.update([node('a'), node('b')]);
  const homes = view.homesOf(content);
  const holders = view.holdersOf(content);
  t.notOk(view.update([node('a'), node('b', { usedBytes: 3 })]));
  t.equal(view.homesOf(content), homes);
  t.equal(view.holdersOf(content), holders);
  t.ok(view.update([node('a'), node('b', { draining: true })]));
  t.equal(view.holdersOf(content), holders, 'still a holder');
  t.equal(idsOf(view.homesOf(content)), 'a');
  t.ok(view.update([node('a', { contents: [] }), node('b', { contents: [] })]), 'a content that nobody serves any more');
  t.notOk(view.update([node('a', { contents: [] }), node('b', { contents: [] })]));
});

t.test('views of before are kept, newest first, at most four', async (t) => {
  const view = new View();
  const see = (ids: string) => view.update([...ids].map((id) => node(id)));
  for (const ids of ['a', 'ab', 'abc', 'abcd', 'abcde', 'abcdef']) see(ids);
  t.same(view.formerHomesOf(content).map(idsOf), ['abcde', 'abcd', 'abc', 'ab']);
});

t.test('one that comes and goes does not push out the others', async (t) => {
  const view = new View();
  const see = (ids: string) => view.update([...ids].map((id) => node(id)));
  for (const ids of ['ax', 'axy', 'ab', 'abc', 'ab', 'abc', 'ab', 'abc', 'ab']) see(ids);
  t.same(view.formerHomesOf(content).map(idsOf), ['abc', 'axy', 'ax']);
});

t.test('another weight is another view', async (t) => {
  const view = new View();
  view.update([node('a'), node('b')]);
  view.update([node('a'), node('b', { donatedBytes: 5 })]);
  t.equal(view.homesOf(content)[1]?.weight, 5);
  t.equal(view.formerHomesOf(content)[0]?.[1]?.weight, 2 ** 30);
});
