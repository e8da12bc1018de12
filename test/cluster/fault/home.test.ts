/** Homes that die, stop, or wait for a slow origin in the middle of a read; and a cluster whose origin is gone. */
import t, { type Test } from 'tap';
import { pattern } from '../../conformance/content.js';
import type { Answer } from '../../conformance/wire/session.js';
import { ScriptedOrigin } from '../../fault/origin.js';
import { differences } from '../../support/differences.js';
import { comes, until } from '../../support/wait.js';
import { homesOf } from './homes.js';
import { type SightWatch, watchSights } from './lost-sight.js';
import { type ClusterNode, imageName, startFleet, total, whole } from './node.js';

const bytes = pattern(8 * 2 ** 20 + 700, 51);
const chunkBytes = 64 * 1024;
/** The live cluster's; see `defaultTimes`. */
const pingTimeoutMs = 2000;
/** Of a request to the origin. */
const headerTimeoutMs = 10_000;

interface Waiting {
  home: ClusterNode;
  others: ClusterNode[];
  origin: ScriptedOrigin;
  /** Origin requests before the chunk was asked for. */
  before: number;
  answers: Promise<Answer[]>;
  sights: SightWatch;
  /** Requests that may have been made again by now, because the origin was held back longer than anybody waits for a word of it. */
  again(): number;
}

/** Guests of all nodes but the home wait for one chunk, and the home for the origin. */
async function waitingAtHome(t: Test): Promise<Waiting> {
  const origin = await ScriptedOrigin.start(t, bytes);
  const nodes = await startFleet(t, { at: 4, images: { [imageName]: origin.url } });
  const sights = watchSights(nodes);
  const [home, ...others] = await homesOf(0, nodes);
  if (home === undefined) throw new Error('no home');
  const guests = await Promise.all(others.map((node) => node.attach(imageName)));
  const before = origin.requests.length;
  const heldAtMs = performance.now();
  // Two nodes at most ask it: the home, and the next one.
  const again = (): number => 2 * Math.floor((performance.now() - heldAtMs) / headerTimeoutMs);
  origin.hold(t);
  const answers = Promise.all(guests.map((guest) => guest.read(0, chunkBytes)));
  await until(
    'all have asked the home',
    async () => (await total(others, 'copse_peer_requests_total', { role: 'home' })) >= others.length || sights.lost() > 0,
  );
  await until('the home has asked the origin', () => origin.heldCount >= 1);
  return { home, others, origin, before, answers, sights, again };
}

/** So many origin requests; one more for each time that a node lost sight of another, or gave up an attempt. */
function asked(t: Test, origin: ScriptedOrigin, count: number, lost: number, again: number, what: string): void {
  t.ok(
    origin.requests.length >= count && origin.requests.length <= count + lost + again,
    `${what}: ${origin.requests.length} for ${count}, ${lost} lost sights, ${again} made again`,
  );
}

function right(answers: readonly Answer[]): boolean {
  return answers.every(({ error, data }) => error === 0 && data.equals(bytes.subarray(0, chunkBytes)));
}

t.test('a home that is killed while others wait for it: the next one asks the origin, once', async (t) => {
  const { home, others, origin, before, answers, sights, again } = await waitingAtHome(t);
  await home.kill();
  await until('the next home has asked the origin', () => origin.requests.length >= before + 2);
  await until('nobody waits for what the dead one had asked', () => origin.heldCount === 1 || sights.lost(home) > 0);
  // The one that is next asks nobody; all others ask it.
  const [next] = await homesOf(0, others);
  const askers = others.filter((node) => node !== next);
  await until('all others ask the next', async () => {
    return (await total(askers, 'copse_peer_requests_total', { role: 'home' })) >= 2 * askers.length || sights.lost(home) > 0;
  });
  const madeAgain = again();
  origin.release();
  t.ok(right(await comes('all guests', answers)));
  const chunkCount = await total(others, 'copse_origin_chunks_total');
  const failoverCount = await total(askers, 'copse_peer_failovers_total');
  const lost = sights.lost(home);
  asked(t, origin, before + 2, lost, madeAgain, 'the origin was asked by the dead home, and by the next');
  t.ok(chunkCount >= 1 && chunkCount <= 1 + lost, `${chunkCount} chunks came`);
  // Who had lost sight of the home before it died did not wait for it.
  t.ok(failoverCount >= askers.length - lost && failoverCount <= askers.length + lost, `each exception is counted: ${failoverCount}`);
});

t.test('a home that stops answering: the next one asks the origin, once; when it goes on, it is used again', async (t) => {
  const { home, others, origin, before, answers, sights, again } = await waitingAtHome(t);
  home.signal('SIGSTOP');
  await until('the next home has asked the origin', () => origin.requests.length >= before + 2);
  const madeAgain = again();
  origin.release();
  t.ok(right(await comes('all guests', answers)));
  asked(t, origin, before + 2, sights.lost(home), madeAgain, 'by the home, and by the next');
  home.signal('SIGCONT');
  await whole([home, ...others]);
  t.same(await differences(await home.attach(imageName), bytes), []);
});

t.test('a home that answers pings is waited for, however slow its origin is', async (t) => {
  const { home, others, origin, before, answers, sights, again } = await waitingAtHome(t);
  // Longer than any ping may take.
  await new Promise((resolve) => setTimeout(resolve, 1.5 * pingTimeoutMs));
  const failoverCount = await total(others, 'copse_peer_failovers_total');
  asked(t, origin, before + 1, sights.lost(), again(), 'once for all guests');
  t.ok(failoverCount <= sights.lost(), `nobody passed over a home that answers: ${failoverCount}`);
  for (const node of others) await until(`the home is up for ${node.id}`, async () => (await node.member(home.id))?.state === 'up');
  const madeAgain = again();
  origin.release();
  t.ok(right(await comes('all guests', answers)));
  asked(t, origin, before + 1, sights.lost(), madeAgain, 'once for all guests');
});

t.test('an origin that fails two requests of three: guests get their bytes all the same', async (t) => {
  const origin = await ScriptedOrigin.start(t, bytes);
  const nodes = await startFleet(t, { at: 3, images: { [imageName]: origin.url } });
  const [node] = nodes;
  if (node === undefined) throw new Error('three nodes were asked for');
  const session = await node.attach(imageName);
  origin.script = ({ index }) =>
    index % 3 === 0 ? { kind: 'status', status: 503 } : index % 3 === 1 ? { kind: 'cut', bytes: 5000 } : undefined;
  t.same(await differences(session, bytes), []);
  t.ok((await total(nodes, 'copse_origin_retries_total')) > 0);
});

t.test('the origin is gone and the cluster holds the image: a cold node reads all of it, also one that was restarted', async (t) => {
  const origin = await ScriptedOrigin.start(t, bytes);
  const nodes = await startFleet(t, { at: 3, images: { [imageName]: origin.url } });
  const sights = watchSights(nodes);
  const pinned = origin.sentBytes;
  const [first, second, cold] = nodes;
  if (first === undefined || second === undefined || cold === undefined) throw new Error('three nodes were asked for');
  t.same(await differences(await first.attach(imageName), bytes), []);
  await until('the reader keeps all of it', async () => (await first.cachedBytes()) === bytes.length);
  const chunkCount = await total(nodes, 'copse_origin_chunks_total');
  const mostOften = 1 + sights.lost();
  const imageChunkCount = Math.ceil(bytes.length / chunkBytes);
  t.ok(chunkCount >= imageChunkCount && chunkCount <= mostOften * imageChunkCount, `each chunk came once: ${chunkCount}`);
  const sentBytes = origin.sentBytes - pinned;
  t.ok(sentBytes >= bytes.length && sentBytes <= mostOften * bytes.length, `${sentBytes} bytes of ${bytes.length}`);
  await origin.stop();
  const served = origin.requests.length;
  await cold.kill();
  await cold.start();
  await whole(nodes);
  t.same(await differences(await cold.attach(imageName), bytes), []);
  t.same(await differences(await second.attach(imageName), bytes), []);
  t.equal(origin.requests.length, served);
  // Nobody is left but one that holds it all.
  await Promise.all([first.kill(), second.kill()]);
  await until('the cold one keeps all of it', async () => (await cold.cachedBytes()) === bytes.length);
  t.same(await differences(await cold.attach(imageName), bytes), [], 'alone');
});
