/**
 * Links that are cut under guests that read: a node without peers, two that can't hear each other, a node without the origin. Every byte is right, no read fails, and
 * when the links are back, so is the cluster. Network namespaces need root.
 */
import t from 'tap';
import { pattern } from '../../conformance/content.js';
import { Lab } from '../../lab/lab.js';
import type { LabPlace } from '../../lab/place.js';
import { differences } from '../../support/differences.js';
import { until } from '../../support/wait.js';
import { startFarOrigin } from './far-origin.js';
import { homesOf } from './homes.js';
import { watchSights } from './lost-sight.js';
import { type ClusterNode, imageName, startFleet, total, whole } from './node.js';
import { Readers } from './reader.js';
import { chunkBytes, sentChunkCount, sentChunks } from './sent-chunk.js';

const mebibyte = 2 ** 20;
const stepBytes = 4 * mebibyte;
const bytes = pattern(7 * stepBytes, 91);

t.test('partitions, one way and both ways', async (t) => {
  const unavailable = await Lab.unavailable();
  if (unavailable !== undefined) throw new Error(`links can't be cut here: ${unavailable}`);
  const lab = await Lab.start({ hostCount: 4, hostBitsPerSecond: 0, originBitsPerSecond: 0, originLatencyMs: 2 });
  t.teardown(() => lab.close());
  const { origin, url } = await startFarOrigin(t, lab, bytes);
  const nodes = await startFleet(t, { at: lab.hosts, images: { [imageName]: url } });
  const [alone, ...rest] = nodes;
  const [one, two, three] = rest;
  const [alonePlace, onePlace, twoPlace, threePlace] = lab.hosts;
  if (alone === undefined || one === undefined || two === undefined || three === undefined) throw new Error('four nodes were asked for');
  if (alonePlace === undefined || onePlace === undefined || twoPlace === undefined || threePlace === undefined)
    throw new Error('four places');

  const sights = watchSights(rest);
  const allSights = watchSights(nodes);
  const readers = new Readers(bytes);
  readers.windowBytes = stepBytes;
  nodes.forEach((node, index) => {
    readers.add(node, 2 * index + 1);
    readers.add(node, 2 * index + 2);
  });
  const step = async (count = 100): Promise<void> => {
    readers.windowBytes = Math.min(bytes.length, readers.windowBytes + stepBytes);
    await readers.progress(count);
    t.same(readers.failures, []);
  };
  const sees = async (node: ClusterNode, other: ClusterNode, state: string): Promise<void> => {
    await until(`${other.id} is ${state} for ${node.id}`, async () => (await node.member(other.id))?.state === state);
  };
  const both = async (work: 'cut' | 'restore', left: LabPlace, right: LabPlace): Promise<void> => {
    await Promise.all([lab[work](left, right), lab[work](right, left)]);
  };
  await readers.progress(50);

  t.comment('one node without its peers');
  const others = [onePlace, twoPlace, threePlace];
  for (const place of others) await both('cut', alonePlace, place);
  await step();
  await until('it knows that it is cut off', async () => (await alone.cluster()).cutOff);
  for (const node of rest) await sees(node, alone, 'down');
  await step();
  // It goes on by itself, and says so.
  await until(
    'chunks that it asked for while cut off are counted',
    async () => (await total([alone], 'copse_origin_cut_off_chunks_total')) > 0,
  );
  const cutOffAmongRest = await total(rest, 'copse_origin_cut_off_chunks_total');
  t.ok(cutOffAmongRest === 0 || sights.lost() > 0, `${cutOffAmongRest} chunks were asked for by others that were cut off`);
  for (const place of others) await both('restore', alonePlace, place);
  await whole(nodes);
  await until('it is cut off no more', async () => !(await alone.cluster()).cutOff);

  t.comment('two nodes, one of which does not hear the other');
  await lab.cut(onePlace, twoPlace);
  await step();
  await sees(one, two, 'down');
  await sees(two, one, 'down');
  await sees(three, one, 'up');
  await sees(three, two, 'up');
  await step();
  await lab.restore(onePlace, twoPlace);
  await whole(nodes);

  t.comment('the home of what is read next, without the origin');
  const [deaf] = await homesOf(readers.windowBytes / stepBytes, nodes);
  const deafPlace = deaf === undefined ? undefined : lab.hosts[nodes.indexOf(deaf)];
  if (deaf === undefined || deafPlace === undefined) throw new Error('no home');
  await lab.cut(lab.origin, deafPlace);
  await step(1);
  await until('its origin does not answer', async () => {
    const { origin: state } = (await deaf.imageStatus(imageName)) as { origin: { health: string } };
    return state.health !== 'ok';
  });
  // Whoever waited for it goes on to the next home.
  await until('others go on without it', async () => (await total(nodes, 'copse_peer_failovers_total')) > 0);
  await readers.progress(50);
  await lab.restore(lab.origin, deafPlace);

  await readers.stop();
  t.same(readers.failures, [], `${readers.readCount} reads`);
  await whole(nodes);
  for (const node of nodes) t.same(await differences(await node.attach(imageName), bytes), [], `all of it at ${node.id}`);
  t.ok((await total(nodes, 'copse_origin_bytes_total')) <= origin.sentBytes);
  const sent = sentChunks(origin);
  t.equal(sent.size, bytes.length / chunkBytes);
  const cutOffCount = await total(nodes, 'copse_origin_cut_off_chunks_total');
  t.comment(`${sentChunkCount(origin)} chunks sent, ${sent.size} of them different, ${cutOffCount} to a node that was cut off`);
  // Beside those that were cut: one and the three others, and two, each way.
  const lost = Math.max(0, allSights.lost() - 8);
  // Each side of each of the four cuts may have asked for it.
  t.ok(Math.max(...sent.values()) <= 5 + lost, `${lost} lost sights`);
  t.ok(sentChunkCount(origin) < (3 + lost) * sent.size, 'less than once a host');
});
