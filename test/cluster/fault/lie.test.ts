/** Peers that send what is not the image: sealed, no wrong byte reaches a guest; unsealed, what has another length or size is caught. Each liar is set aside at once. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { SharedContent } from '../../../src/cluster/node.js';
import { sealUrl } from '../../../src/image/seal-url.js';
import { pattern } from '../../conformance/content.js';
import type { Session } from '../../conformance/wire/session.js';
import { ScriptedOrigin } from '../../fault/origin.js';
import { differences } from '../../support/differences.js';
import { shortDir } from '../../support/short-dir.js';
import { until } from '../../support/wait.js';
import { type Asked, Liar, type LiarOptions } from './liar.js';
import { sumOf } from './metric.js';
import { type ClusterNode, imageName, loopbackAddress, startFleet } from './node.js';

const extentBytes = 4 * 2 ** 20;
const chunkBytes = 64 * 1024;
const bytes = pattern(7 * extentBytes, 61);
const stale = pattern(bytes.length, 62);
/** Much more than a daemon gives: the liar is home wherever it can be. */
const everything = 2 ** 50;

const right = ({ offset, lengthBytes }: Asked): Buffer => Buffer.from(bytes.subarray(offset, offset + lengthBytes));
const old = ({ offset, lengthBytes }: Asked): Buffer => Buffer.from(stale.subarray(offset, offset + lengthBytes));

function flipped(asked: Asked): Buffer {
  const data = right(asked);
  const at = data.length >> 1;
  data[at] = (data[at] ?? 0) ^ 1;
  return data;
}

type Lie = Pick<LiarOptions, 'answer' | 'exportBytes'>;

/** Their sizes betray them, whatever the image. Nothing of them may be used, also not what would have fitted. */
const misfits: Record<string, Lie> = {
  short: { answer: (asked) => old(asked).subarray(0, -512) },
  long: { answer: (asked) => Buffer.concat([old(asked), Buffer.alloc(512)]) },
};

/** Seen when it is attached to: nothing is ever read of it. */
const anotherSize: Record<string, Lie> = { 'of-another-size': { answer: right, exportBytes: bytes.length - 4096 } };

const wrongBytes: Record<string, Lie> = {
  'bit-flip': { answer: flipped },
  'wrong-chunk': { answer: (asked) => right({ ...asked, offset: (asked.offset + chunkBytes) % bytes.length }) },
  'stale-version': { answer: old },
  zeros: { answer: ({ lengthBytes }) => Buffer.alloc(lengthBytes) },
};

const shared = (id: string): SharedContent => ({ id, sizeBytes: bytes.length, chunkSizeBytes: chunkBytes, originReachable: true });

interface Scene {
  node: ClusterNode;
  origin: ScriptedOrigin;
  /** What it sent while the image was pinned. */
  before: number;
  contentId: string;
}

async function sealedLines(t: Test, origin: ScriptedOrigin): Promise<string[]> {
  const folder = shortDir(t);
  writeFileSync(join(folder, 'image.raw'), origin.bytes);
  const { manifestPath, digest } = await sealUrl(join(folder, 'image.raw'), { chunkSizeBytes: chunkBytes });
  return [`manifest = "${manifestPath}"`, `digest = "${digest}"`];
}

async function scene(t: Test, addresses: string[], sealed: boolean): Promise<Scene> {
  const origin = await ScriptedOrigin.start(t, bytes);
  const lines = sealed ? await sealedLines(t, origin) : [];
  const [node] = await startFleet(t, { at: 1, others: addresses, images: { [imageName]: origin.url }, imageLines: { [imageName]: lines } });
  const { id, guard } = (await node?.imageInCluster()) ?? {};
  if (node === undefined || id === undefined) throw new Error('the image is not shared');
  t.equal(guard, sealed ? 'manifest' : 'etag');
  return { node, origin, before: origin.sentBytes, contentId: id };
}

interface Role {
  role: 'home' | 'held';
  statement: LiarOptions['statement'];
  address: string;
  extentIndex: number;
}

/**
 * A liar that has told its lie, to a guest who read a chunk of the extent that nobody had yet. A node of a busy machine may not hear in time what it holds, and not ask it for anything before it
 * comes anew.
 */
async function liarThatWasAsked(t: Test, { node, contentId }: Scene, session: Session, name: string, lie: Lie, at: Role): Promise<Liar> {
  const { role, statement = {}, address, extentIndex } = at;
  for (let attempt = 1; ; attempt += 1) {
    const liar = await Liar.start(t, { ...lie, id: name, address, statement });
    await until(`${name} is up`, async () => (await node.member(name))?.state === 'up');
    const offset = extentIndex * extentBytes + attempt * chunkBytes;
    const { error, data } = await session.read(offset, 4096);
    t.ok(error === 0 && data.equals(bytes.subarray(offset, offset + 4096)), `${name}: right bytes`);
    const opened = liar.opened.some((each) => each.startsWith(`${role}/${contentId}`));
    if (opened && (liar.asked.length > 0 || lie.exportBytes !== undefined)) return liar;
    if (attempt === 10) throw new Error(`${name} is not asked as ${role}`);
    liar.end();
    await until(`${name} is down`, async () => (await node.member(name))?.state !== 'up');
  }
}

/** One liar after the other, each with an extent of its own to lie about. */
async function tryLies(t: Test, lies: Record<string, Lie>, role: 'home' | 'held', sealed: boolean): Promise<void> {
  const names = Object.keys(lies);
  const addresses = names.map(() => loopbackAddress());
  const stage = await scene(t, addresses, sealed);
  const { node, origin, before, contentId } = stage;
  for (const [index, name] of names.entries()) {
    const statement = { donatedBytes: role === 'home' ? everything : 0, contents: [shared(contentId)] };
    const lie = lies[name];
    if (lie === undefined) continue;
    const session = await node.attach(imageName);
    const liar = await liarThatWasAsked(t, stage, session, name, lie, {
      role,
      statement,
      address: addresses[index] ?? '',
      extentIndex: index,
    });
    const asked = liar.asked.length;
    const wrong = await differences(session, bytes.subarray(0, (index + 1) * extentBytes));
    t.same(wrong, [], `${name}: all the rest is right, too`);
    t.equal(liar.asked.length, asked, `${name} was not asked again`);
    const metrics = await node.metrics();
    t.equal(sumOf(metrics, 'copse_peer_set_aside', { peer: name }), 1);
    t.equal(sumOf(metrics, 'copse_peer_lies_total'), index + 1);
    const { setAside } = (await node.member(name)) ?? {};
    t.match(setAside, [{ image: origin.url, reason: /\w/ }], 'the status says why');
    const logged = (): number => node.logged(/set aside/).filter((line) => line.includes(`"peer":"${name}"`)).length;
    await until('the log says it', () => logged() > 0);
    t.equal(logged(), 1, 'once');
    session.bytes.destroy();
    liar.end();
    await until(`${name} is down`, async () => (await node.member(name))?.state !== 'up');
  }
  t.equal(origin.sentBytes - before, names.length * extentBytes, 'every chunk came once, from the origin');
  const { exitCode, stdout } = await node.copse('cluster', 'status');
  t.equal(exitCode, 0);
  for (const name of names) t.match(stdout, name);
}

t.test('sealed, lying as home', (t) => tryLies(t, { ...wrongBytes, ...misfits, ...anotherSize }, 'home', true));
t.test('sealed, lying about what it holds', (t) => tryLies(t, { ...wrongBytes, ...misfits }, 'held', true));
t.test('unsealed, lying as home', (t) => tryLies(t, { ...misfits, ...anotherSize }, 'home', false));
t.test('unsealed, lying about what it holds', (t) => tryLies(t, misfits, 'held', false));

t.test('whoever holds something of another size is not asked for what it holds', async (t) => {
  const address = loopbackAddress();
  const { node, origin, before, contentId } = await scene(t, [address], false);
  const statement = { donatedBytes: 0, contents: [shared(contentId)] };
  const liar = await Liar.start(t, { id: 'other', address, answer: right, exportBytes: bytes.length + 4096, statement });
  await until('it is up', async () => (await node.member('other'))?.state === 'up');
  t.same(await differences(await node.attach(imageName), bytes.subarray(0, extentBytes)), []);
  t.same(liar.asked, []);
  t.equal(origin.sentBytes - before, extentBytes);
});

t.test('another version has another identity: whoever serves it is not asked', async (t) => {
  const address = loopbackAddress();
  const { node, origin, before, contentId } = await scene(t, [address], false);
  const other = `${contentId.startsWith('0') ? '1' : '0'}${contentId.slice(1)}`;
  const statement = { donatedBytes: everything, contents: [shared(other)] };
  const liar = await Liar.start(t, { id: 'old', address, answer: flipped, statement });
  await until('it is up', async () => (await node.member('old'))?.state === 'up');
  t.same(await differences(await node.attach(imageName), bytes), []);
  t.same(liar.opened, []);
  t.equal(origin.sentBytes - before, bytes.length, 'it came from the origin');
});

t.test('a peer of another protocol is shown, and not used', async (t) => {
  const address = loopbackAddress();
  const { node, contentId } = await scene(t, [address], false);
  const statement = { protocol: { least: 99, greatest: 99 }, version: '99.0.0', donatedBytes: everything, contents: [shared(contentId)] };
  const liar = await Liar.start(t, { id: 'newer', address, answer: flipped, statement });
  await until('it was met', async () => (await node.member('newer'))?.state === 'incompatible');
  t.match(await node.member('newer'), { address, version: '99.0.0', message: /protocol 99/ });
  t.same(await differences(await node.attach(imageName), bytes.subarray(0, extentBytes)), []);
  t.same(liar.opened, []);
  t.equal(sumOf(await node.metrics(), 'copse_cluster_members', { state: 'incompatible' }), 1);
  await until('the log says it', () => node.logged(/not used/).length > 0);
  t.equal(node.logged(/not used/).length, 1, 'once');
  t.match((await node.copse('cluster', 'status')).stdout, /incompatible/);
});
