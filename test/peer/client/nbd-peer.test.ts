/** Two ends of the peer protocol, over real sockets and real caches. */

import t, { type Test } from 'tap';
import { silentLogger } from '../../../src/base/log.js';
import type { RangeSink } from '../../../src/block/sink.js';
import type { PeerContent } from '../../../src/cluster/peer.js';
import { BufferSink } from '../../../src/origin/sink.js';
import { NbdPeer, type NbdPeerOptions } from '../../../src/peer/client/nbd-peer.js';
import { PeerDirectory } from '../../../src/peer/server/directory.js';
import { Server } from '../../../src/server/server.js';
import { ManualClock } from '../../cache/manual-clock.js';
import { chunkBytes, open, type Subject } from '../../cache/subject.js';
import { pattern } from '../../conformance/content.js';
import { holds } from '../../support/wait.js';
import { contentIdOf } from '../node-statement.js';
import { nobody, type PeerServer, servePeers, TestContents } from '../peer-server.js';

const chunkCount = 32;
const image = pattern(chunkCount * chunkBytes - 77);
image.fill(0, 4 * chunkBytes, 6 * chunkBytes);

interface Stand {
  subject: Subject;
  contents: TestContents;
  served: PeerServer;
  content: PeerContent;
  peer: NbdPeer;
}

function peerOf(t: Test, address: string, options: Partial<NbdPeerOptions> = {}): NbdPeer {
  const peer = new NbdPeer({ id: 'b', address, selfId: 'a', connectTimeoutMs: 60_000, ...options });
  t.after(() => peer.destroy('the test is over'));
  return peer;
}

async function stand(t: Test, options: Partial<NbdPeerOptions> = {}): Promise<Stand> {
  const subject = open(t, { content: image });
  const contents = new TestContents('b');
  const content = { id: contents.share(1, subject.cache), sizeBytes: image.length, chunkBytes };
  const served = await servePeers(t, contents);
  return { subject, contents, served, content, peer: peerOf(t, served.address, options) };
}

async function bytesOf(read: (sink: RangeSink) => Promise<void>, lengthBytes: number): Promise<Buffer> {
  const sink = new BufferSink(Buffer.alloc(lengthBytes, 0xee));
  await read(sink);
  return sink.target;
}

t.test('what is read as home, and then as held, are the bytes of the image', async (t) => {
  const { subject, peer, content, contents } = await stand(t);
  subject.source.answerAll();
  for (const [offset, lengthBytes] of [
    [0, chunkBytes],
    [chunkBytes, 20 * chunkBytes],
    [3 * chunkBytes + 5, 4 * chunkBytes],
    [image.length - 1, 1],
    [0, image.length],
  ] as const) {
    const wanted = image.subarray(offset, offset + lengthBytes);
    t.ok((await bytesOf((sink) => peer.readHome(content, offset, lengthBytes, sink), lengthBytes)).equals(wanted), `home ${offset}`);
    await holds(() => subject.cache.cachedExtents(offset, lengthBytes, 1)[0]?.lengthBytes === lengthBytes);
    t.ok((await bytesOf((sink) => peer.readHeld(content, offset, lengthBytes, sink), lengthBytes)).equals(wanted), `held ${offset}`);
  }
  t.equal(peer.linkCount, 2);
  t.ok(contents.served.length >= 8);
  t.ok(contents.served.every(({ from }) => from === 'a'));
  t.equal(contents.heldCount, 2);
  peer.destroy('enough');
  await holds(() => contents.heldCount === 0);
});

t.test('held asks nobody: what is absent is absent', async (t) => {
  const { subject, peer, content, contents } = await stand(t);
  const nowhere = { data: () => t.fail('no data'), zeroes: () => t.fail('no zeros') };
  await t.rejects(peer.readHeld(content, 0, chunkBytes, nowhere), { code: 'ERR_PEER_ABSENT', peerId: 'b' });
  await t.rejects(peer.readHeld(content, 0, image.length, nowhere), { code: 'ERR_PEER_ABSENT' });
  t.equal(subject.source.reads.length, 0);
  t.same(contents.served, []);
});

t.test('what is held is told, in runs, and can be brought there', async (t) => {
  const { subject, peer, content } = await stand(t);
  subject.source.answerAll();
  t.same(await peer.cachedRuns(content, 0, image.length), [{ lengthBytes: image.length, cached: false }]);
  await peer.cacheHome(content, 2 * chunkBytes, 3 * chunkBytes, { background: true });
  t.same(await peer.cachedRuns(content, 0, image.length), [
    { lengthBytes: 2 * chunkBytes, cached: false },
    { lengthBytes: 3 * chunkBytes, cached: true },
    { lengthBytes: image.length - 5 * chunkBytes, cached: false },
  ]);
  t.same(await peer.cachedRuns(content, 2 * chunkBytes + 1, chunkBytes), [{ lengthBytes: chunkBytes, cached: true }]);
});

t.test('an error of the home is a refusal with its reason, and ends that request alone', async (t) => {
  const { subject, peer, content } = await stand(t);
  const failing = bytesOf((sink) => peer.readHome(content, 0, chunkBytes, sink), chunkBytes);
  await holds(() => subject.source.reads.length === 1);
  const fine = bytesOf((sink) => peer.readHome(content, 20 * chunkBytes, chunkBytes, sink), chunkBytes);
  await holds(() => subject.source.reads.length === 2);
  subject.source.reads[0]?.fail(Object.assign(new Error('the origin is in the sea'), { code: 'ERR_ORIGIN_UNAVAILABLE' }));
  await t.rejects(failing, { code: 'ERR_PEER_REFUSED', message: /in the sea/ });
  subject.source.reads[1]?.send().end();
  t.ok((await fine).equals(image.subarray(20 * chunkBytes, 21 * chunkBytes)));
});

t.test('a content that is not shared is refused, one of another size is a lie', async (t) => {
  const { peer, content } = await stand(t);
  const sink = new BufferSink(Buffer.alloc(1));
  await t.rejects(peer.readHome({ ...content, id: contentIdOf(2) }, 0, 1, sink), { code: 'ERR_PEER_REFUSED' });
  await t.rejects(peer.readHeld({ ...content, sizeBytes: content.sizeBytes + 1 }, 0, 1, sink), { code: 'ERR_PEER_LIED' });
  t.equal(sink.filledBytes, 0);
});

t.test('who gives up hears it at once, and the home lets the work go', async (t) => {
  const { subject, peer, content } = await stand(t);
  const controller = new AbortController();
  const reading = bytesOf((sink) => peer.readHome(content, 0, chunkBytes, sink, { signal: controller.signal }), chunkBytes);
  await holds(() => subject.source.reads.length === 1);
  controller.abort();
  await t.rejects(reading, { code: 'ERR_ABORTED' });
  t.equal(peer.linkCount, 1, 'the connection stays');
  const aborted = new AbortController();
  aborted.abort();
  const late = bytesOf((sink) => peer.readHome(content, 0, chunkBytes, sink, { signal: aborted.signal }), chunkBytes);
  await t.rejects(late, { code: 'ERR_ABORTED' });
});

t.test('destroyed while requests wait: all fail at once, and so does what comes later', async (t) => {
  const { subject, peer, content } = await stand(t);
  const nowhere = { data: () => {}, zeroes: () => {} };
  const waiting = [
    peer.readHome(content, 0, chunkBytes, nowhere),
    peer.readHome(content, 9 * chunkBytes, chunkBytes, nowhere, { background: true }),
  ];
  await holds(() => subject.source.reads.length === 2);
  waiting.push(peer.readHome({ ...content, id: contentIdOf(2) }, 0, 1, nowhere));
  peer.destroy('its pings fail');
  for (const request of waiting) await t.rejects(request, { code: 'ERR_PEER_GONE', message: /its pings fail/ });
  await t.rejects(peer.readHeld(content, 0, 1, nowhere), { code: 'ERR_PEER_GONE' });
  t.equal(peer.linkCount, 0);
});

t.test('a server that stops is gone, one that is back is asked again', async (t) => {
  const { subject, peer, content, served, contents } = await stand(t);
  subject.source.answerAll();
  await bytesOf((sink) => peer.readHome(content, 0, chunkBytes, sink), chunkBytes);
  subject.source.script = undefined;
  const waiting = bytesOf((sink) => peer.readHome(content, 20 * chunkBytes, chunkBytes, sink), chunkBytes);
  await holds(() => subject.source.reads.some(({ offset }) => offset === 20 * chunkBytes));
  const stopped = served.server.stop(0);
  await t.rejects(waiting, { code: 'ERR_PEER_GONE' });
  await stopped;
  await t.rejects(
    bytesOf((sink) => peer.readHome(content, 0, 1, sink), 1),
    { code: 'ERR_PEER_GONE' },
  );
  await servePeers(t, contents, { address: served.address });
  t.ok((await bytesOf((sink) => peer.readHome(content, 0, 9, sink), 9)).equals(image.subarray(0, 9)));
});

t.test('connections are made when they are wanted, demand and background apart, and closed when they are not', async (t) => {
  const clock = new ManualClock();
  const { subject, peer, content, served, contents } = await stand(t, { clock, idleMs: 1000 });
  subject.source.answerAll();
  t.equal(served.server.connectionCount, 0);
  await bytesOf((sink) => peer.readHome(content, 0, 5, sink), 5);
  await bytesOf((sink) => peer.readHome(content, 0, 5, sink), 5);
  await bytesOf((sink) => peer.readHome(content, 0, 5, sink, { background: true }), 5);
  t.equal(contents.heldCount, 2);
  clock.advance(600);
  await bytesOf((sink) => peer.readHome(content, 0, 5, sink), 5);
  clock.advance(600);
  t.equal(peer.linkCount, 1, 'the background is closed');
  await holds(() => contents.heldCount === 1);
  clock.advance(600);
  t.equal(peer.linkCount, 0);
  await holds(() => served.server.connectionCount === 0);
  await holds(() => clock.timerCount === 0);
  t.ok((await bytesOf((sink) => peer.readHome(content, 0, 5, sink), 5)).equals(image.subarray(0, 5)));
});

t.test('a request that outlasts the idle time keeps its connection', async (t) => {
  const clock = new ManualClock();
  const { subject, peer, content } = await stand(t, { clock, idleMs: 1000 });
  const reading = bytesOf((sink) => peer.readHome(content, 0, chunkBytes, sink), chunkBytes);
  await holds(() => subject.source.reads.length === 1);
  clock.advance(1900);
  subject.source.reads[0]?.send().end();
  t.ok((await reading).equals(image.subarray(0, chunkBytes)));
});

t.test('a peer that gives signs of life and never answers is given up', async (t) => {
  const { subject, peer, content, served } = await stand(t, { waitMs: { home: 300 } });
  const reads = [0, 1].map((chunk) => bytesOf((sink) => peer.readHome(content, chunk * chunkBytes, chunkBytes, sink), chunkBytes));
  await holds(() => subject.source.reads.length > 0);
  for (const read of reads) await t.rejects(read, { code: 'ERR_PEER_GONE', cause: { code: 'ERR_NBD_UNANSWERED' } });
  subject.source.answerAll();
  t.ok((await bytesOf((sink) => peer.readHome(content, 0, 9, sink), 9)).equals(image.subarray(0, 9)), 'on a new connection');
  await holds(() => served.server.connectionCount === 1);
});

t.test('hundreds of requests at once share a connection', async (t) => {
  const { subject, peer, content, served } = await stand(t);
  subject.source.answerAll();
  const offsets = Array.from({ length: 600 }, (_, index) => (index * 811) % (image.length - 100));
  const all = await Promise.all(offsets.map((offset) => bytesOf((sink) => peer.readHome(content, offset, 100, sink), 100)));
  all.forEach((bytes, index) => {
    const offset = offsets[index] ?? 0;
    if (!bytes.equals(image.subarray(offset, offset + 100))) t.fail(`wrong bytes at ${offset}`);
  });
  t.equal(served.server.connectionCount, 1);
});

t.test("an error of the sink is the request's own, and passed on as it is", async (t) => {
  const { subject, peer, content } = await stand(t);
  subject.source.answerAll();
  const wrong = Object.assign(new Error('wrong bytes'), { code: 'ERR_DIGEST_MISMATCH' });
  const sink: RangeSink = {
    data: () => {
      throw wrong;
    },
    zeroes: () => {},
  };
  const [failed, fine] = await Promise.allSettled([
    peer.readHome(content, 0, chunkBytes, sink),
    bytesOf((other) => peer.readHome(content, 0, chunkBytes, other), chunkBytes),
  ]);
  t.equal(failed.status === 'rejected' && failed.reason, wrong);
  t.equal(fine.status, 'fulfilled');
});

t.test('background requests that take all of their memory keep no demand waiting', async (t) => {
  const subject = open(t, { content: image });
  subject.source.answerAll();
  const contents = new TestContents('b');
  const content = { id: contents.share(1, subject.cache), sizeBytes: image.length, chunkBytes };
  // Room for nothing but what a connection with nothing under way gets in any case.
  const { directory } = await servePeers(t, contents, { memoryBytes: { home: 2 ** 20, held: 2 ** 20, background: 1 } });
  const [home, background, held] = await Promise.all(
    ['home', 'home', 'held'].map((role, index) => directory.open(`${role}/${content.id}${index === 1 ? ';background' : ''}`, nobody)),
  );
  t.ok(home?.memory !== undefined && home.memory.tryTake(1000, false) !== undefined);
  t.equal(background?.memory?.tryTake(1000, false), undefined);
  t.ok(held?.memory !== undefined && held.memory !== home?.memory && held.memory.tryTake(1000, false) !== undefined);
  for (const opened of [home, background, held]) opened?.release();
  t.equal(contents.heldCount, 0);
});

t.test('requests draw on the memory of their export, not on the server', async (t) => {
  const subject = open(t, { content: image });
  const contents = new TestContents('b');
  const content = { id: contents.share(1, subject.cache), sizeBytes: image.length, chunkBytes };
  const directory = new PeerDirectory(contents);
  const server = new Server({
    directory,
    limits: { connectionCount: 9, handshakeTimeoutMs: 9999, requestsPerConnection: 64, bytesPerConnection: 2 ** 26, requestMemoryBytes: 1 },
    log: silentLogger,
  });
  t.after(() => server.stop(0));
  const { port } = new URL(await server.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 }));
  const peer = peerOf(t, `127.0.0.1:${port}`);
  const reads = [0, 10, 20].map((chunk) => bytesOf((sink) => peer.readHome(content, chunk * chunkBytes, 9, sink), 9));
  // With the server's memory the second would only begin when the first is answered.
  await holds(() => subject.source.reads.length === 3);
  for (const read of subject.source.reads) read.send().end();
  await Promise.all(reads);
  const memory = (await directory.open(`home/${content.id}`, nobody))?.memory;
  await holds(() => memory?.takenBytes === 0);
});
