/** Whom a guest's miss asks, and what happens when they fail. */
import t from 'tap';
import type { ChunkVerifier } from '../../../src/manifest/verifier.js';
import { bytes, chunkBytes, failing, Gathered, right, Stage } from './stage.js';

const verifier: ChunkVerifier = {
  chunkBytes,
  isZero: () => false,
  matches: (chunk, piece) => bytes.subarray(chunk * chunkBytes, (chunk + 1) * chunkBytes).equals(piece),
};

function expected(chunk: number, count = 1): Buffer {
  return bytes.subarray(chunk * chunkBytes, (chunk + count) * chunkBytes);
}

t.test('the home is asked, and nobody else', async (t) => {
  const stage = new Stage(['a', 'b']);
  const chunk = stage.chunkOf('a');
  const sink = new Gathered();
  await stage.clustered.guestSource.read(chunk * chunkBytes, 2 * chunkBytes, sink, {});
  t.ok(sink.bytes.equals(expected(chunk, 2)));
  t.same(stage.scripted('a').asked, [`home ${chunk * chunkBytes}+${2 * chunkBytes}`], 'adjacent chunks as one request');
  t.same(stage.scripted('b').asked, []);
  t.same(sink.places, ['peer']);
});

t.test('the next home begins the chunk anew in which the one before broke off', async (t) => {
  const stage = new Stage(['a', 'b']);
  const chunk = stage.chunkOf('a', 'b');
  stage.scripted('a').home = failing('ERR_PEER_GONE', 1000);
  const sink = new Gathered();
  await stage.clustered.guestSource.read(chunk * chunkBytes, chunkBytes, sink, {});
  t.ok(sink.bytes.equals(expected(chunk)));
  t.same(stage.scripted('b').asked, [`home ${chunk * chunkBytes}+${chunkBytes}`]);
  t.same(stage.suspected, ['a'], 'and who is gone is pinged');
  t.equal(stage.clustered.metrics.failovers, 1);
});

t.test('when it is this node’s turn it acts as home itself', async (t) => {
  const stage = new Stage(['a', 'b']);
  const chunk = stage.chunkOf('a', 'self');
  stage.scripted('a').home = failing('ERR_PEER_REFUSED');
  const sink = new Gathered();
  await stage.clustered.guestSource.read(chunk * chunkBytes, chunkBytes, sink, {});
  t.ok(sink.bytes.equals(expected(chunk)));
  t.same(stage.scripted('b').asked, [], 'who comes after it is not asked');
  t.same(stage.ownReads, [`${chunk * chunkBytes}+${chunkBytes}`]);
  t.equal(stage.clustered.metrics.stoodIn, 1);
});

t.test('a prefetch asks one home once', async (t) => {
  const stage = new Stage(['a', 'b']);
  const chunk = stage.chunkOf('a', 'b');
  stage.scripted('a').home = failing('ERR_PEER_GONE');
  await t.rejects(stage.clustered.guestSource.read(chunk * chunkBytes, chunkBytes, new Gathered(), { priority: 'prefetch' }), {
    code: 'ERR_PEER_GONE',
  });
  t.same(stage.scripted('b').asked, []);
  t.same(stage.ownReads, []);
});

t.test('of a sealed image no wrong byte passes, and who sent it is set aside for the image', async (t) => {
  const stage = new Stage(['a', 'b'], verifier);
  const chunk = stage.chunkOf('a', 'b');
  stage.scripted('a').home = async (offset, lengthBytes, sink) => {
    const wrong = Buffer.from(bytes.subarray(offset, offset + lengthBytes));
    const at = lengthBytes - 5;
    wrong.writeUInt8((wrong[at] ?? 0) ^ 1, at);
    sink.data(wrong);
  };
  const sink = new Gathered();
  await stage.clustered.guestSource.read(chunk * chunkBytes, 2 * chunkBytes, sink, {});
  t.ok(sink.bytes.equals(expected(chunk, 2)));
  t.same(stage.scripted('b').asked, [`home ${(chunk + 1) * chunkBytes}+${chunkBytes}`], 'what was right is kept');
  t.match(stage.clustered.trust.setAside, [{ peerId: 'a' }]);
  stage.scripted('a').asked.length = 0;
  await stage.clustered.guestSource.read(chunk * chunkBytes, chunkBytes, new Gathered(), {});
  t.same(stage.scripted('a').asked, [], 'not asked again');
  stage.clock.advance(600_001);
  await stage.clustered.guestSource.read(chunk * chunkBytes, chunkBytes, new Gathered(), {});
  t.equal(stage.scripted('a').asked.length, 1, 'but after a while');
});

t.test('a peer that is gone again and again is left alone, and let back by one request', async (t) => {
  const stage = new Stage(['a', 'b']);
  const chunk = stage.chunkOf('a', 'b');
  stage.scripted('a').home = failing('ERR_PEER_GONE');
  const read = () => stage.clustered.guestSource.read(chunk * chunkBytes, chunkBytes, new Gathered(), {});
  for (let round = 0; round < 20; round += 1) await read();
  const askedCount = stage.scripted('a').asked.length;
  t.ok(askedCount < 10, `asked ${askedCount} times of 20`);
  stage.scripted('a').home = right;
  stage.clock.advance(120_000);
  await read();
  t.equal(stage.scripted('a').asked.length, askedCount + 1);
  t.equal(stage.breakers.get('a')?.state, 'closed');
});

t.test('a home whose origin fails is no failing peer', async (t) => {
  const stage = new Stage(['a', 'b']);
  const chunk = stage.chunkOf('a', 'b');
  stage.scripted('a').home = failing('ERR_PEER_REFUSED');
  for (let round = 0; round < 20; round += 1) await stage.clustered.guestSource.read(chunk * chunkBytes, chunkBytes, new Gathered(), {});
  t.equal(stage.scripted('a').asked.length, 20);
});

t.test('who leaves is not answered, and the peer is not blamed', async (t) => {
  const stage = new Stage(['a', 'b']);
  const chunk = stage.chunkOf('a', 'b');
  const abort = new AbortController();
  stage.scripted('a').home = (_offset, _lengthBytes, _sink, signal) =>
    new Promise((_resolve, reject) =>
      signal?.addEventListener('abort', () => reject(Object.assign(new Error('gone'), { code: 'ERR_ABORTED' }))),
    );
  const read = stage.clustered.guestSource.read(chunk * chunkBytes, chunkBytes, new Gathered(), { signal: abort.signal });
  abort.abort();
  await t.rejects(read, { code: 'ERR_ABORTED' });
  t.same(stage.scripted('b').asked, []);
  t.equal(stage.clustered.metrics.of('a').failures, 0);
});

t.test('demand that comes to a prefetch has its home hurried', async (t) => {
  const stage = new Stage(['a', 'b']);
  const chunk = stage.chunkOf('a');
  stage.clustered.guestSource.promote?.(chunk * chunkBytes, chunkBytes);
  t.same(stage.scripted('a').asked, [`cache ${chunk * chunkBytes}+${chunkBytes}`]);
});
