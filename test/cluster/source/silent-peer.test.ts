/** What becomes of reads when a peer's connection goes silent, or its peer gives signs of life and no answers. */
import t from 'tap';
import { PeerError } from '../../../src/cluster/peer.js';
import { NbdSilentError, NbdUnansweredError } from '../../../src/nbd/codec/error.js';
import { bytes, chunkBytes, Gathered, right, Stage } from './stage.js';

function expected(chunk: number, count = 1): Buffer {
  return bytes.subarray(chunk * chunkBytes, (chunk + count) * chunkBytes);
}

/** As a request fails with its connection. */
function goneWith(cause: Error): PeerError {
  return new PeerError('ERR_PEER_GONE', 'a', 'as the test wants it', { cause });
}

t.test('a home is asked again on a new connection, for what did not come whole', async (t) => {
  const stage = new Stage(['a', 'b']);
  const chunk = stage.chunkOf('a', 'b');
  const a = stage.scripted('a');
  a.home = async (offset, _lengthBytes, sink) => {
    sink.data(bytes.subarray(offset, offset + chunkBytes + 1000));
    a.home = right;
    throw goneWith(new NbdSilentError('silent'));
  };
  const sink = new Gathered();
  await stage.clustered.guestSource.read(chunk * chunkBytes, 2 * chunkBytes, sink, {});
  t.ok(sink.bytes.equals(expected(chunk, 2)));
  t.same(a.asked, [`home ${chunk * chunkBytes}+${2 * chunkBytes}`, `home ${(chunk + 1) * chunkBytes}+${chunkBytes}`]);
  t.same(stage.scripted('b').asked, []);
  t.equal(stage.clustered.metrics.failovers, 0);
  t.equal(stage.clustered.metrics.silentConnections, 1);
  t.same(stage.suspected, ['a']);
});

t.test('one that is silent on that, too, is passed over', async (t) => {
  const stage = new Stage(['a', 'b']);
  const chunk = stage.chunkOf('a', 'b');
  stage.scripted('a').home = () => Promise.reject(goneWith(new NbdSilentError('silent')));
  const sink = new Gathered();
  await stage.clustered.guestSource.read(chunk * chunkBytes, chunkBytes, sink, {});
  t.ok(sink.bytes.equals(expected(chunk)));
  t.equal(stage.scripted('a').asked.length, 2);
  t.equal(stage.scripted('b').asked.length, 1);
  t.equal(stage.clustered.metrics.silentConnections, 2);
});

t.test('a connection is one failure to the breaker, however many requests it took with it', async (t) => {
  const stage = new Stage(['a', 'b']);
  const chunk = stage.chunkOf('a', 'b');
  const silence = new NbdSilentError('silent');
  const a = stage.scripted('a');
  let rejectAll = (): void => {};
  const failed = new Promise<never>((_resolve, reject) => {
    rejectAll = () => reject(goneWith(silence));
  });
  a.home = (offset, lengthBytes, sink) => (a.asked.length > 20 ? right(offset, lengthBytes, sink) : failed);
  const sinks = Array.from({ length: 20 }, () => new Gathered());
  const reads = sinks.map((sink) => stage.clustered.guestSource.read(chunk * chunkBytes, chunkBytes, sink, {}));
  rejectAll();
  await Promise.all(reads);
  t.ok(sinks.every((sink) => sink.bytes.equals(expected(chunk))));
  t.equal(stage.breakers.get('a')?.state, 'closed');
  t.same(stage.scripted('b').asked, []);
  t.equal(stage.clustered.metrics.silentConnections, 1);
});

t.test('connections that go silent one after the other open the breaker', async (t) => {
  const stage = new Stage(['a', 'b']);
  const chunk = stage.chunkOf('a', 'b');
  stage.scripted('a').home = () => Promise.reject(goneWith(new NbdSilentError('silent')));
  for (let round = 0; round < 3; round += 1) {
    const sink = new Gathered();
    await stage.clustered.guestSource.read(chunk * chunkBytes, chunkBytes, sink, {});
    t.ok(sink.bytes.equals(expected(chunk)));
  }
  t.equal(stage.breakers.get('a')?.state, 'open');
  t.equal(stage.scripted('a').asked.length, 5);
});

t.test('one that gives signs of life and no answers is not asked again', async (t) => {
  const stage = new Stage(['a', 'b']);
  const chunk = stage.chunkOf('a', 'b');
  stage.scripted('a').home = () => Promise.reject(goneWith(new NbdUnansweredError('mute')));
  const sink = new Gathered();
  await stage.clustered.guestSource.read(chunk * chunkBytes, chunkBytes, sink, {});
  t.ok(sink.bytes.equals(expected(chunk)));
  t.equal(stage.scripted('a').asked.length, 1);
  t.equal(stage.clustered.metrics.failovers, 1);
});

t.test('a holder is asked again, too, before the origin is', async (t) => {
  const stage = new Stage(['a', 'b']);
  const a = stage.scripted('a');
  stage.clustered.knowledge.map.add('a', 3, 1);
  a.held = () => {
    a.held = right;
    return Promise.reject(goneWith(new NbdSilentError('silent')));
  };
  const sink = new Gathered();
  await stage.clustered.homeSource.read(3 * chunkBytes, chunkBytes, sink, {});
  t.ok(sink.bytes.equals(expected(3)));
  t.same(stage.originReads, []);
});
