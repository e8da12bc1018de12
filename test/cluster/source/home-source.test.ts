/** Whom a home asks: those that hold the chunk, then the origin, and nobody as home. */

import t from 'tap';
import { AbortedError } from '../../../src/base/error.js';
import type { RangeSink } from '../../../src/block/sink.js';
import { turns } from '../../cache/subject.js';
import { bytes, chunkBytes, content, failing, Gathered, right, ScriptedPeer, Stage } from './stage.js';

function expected(chunk: number, count = 1): Buffer {
  return bytes.subarray(chunk * chunkBytes, (chunk + count) * chunkBytes);
}

async function read(stage: Stage, chunk: number, count = 1): Promise<Gathered> {
  const sink = new Gathered();
  // Long after the last change.
  await stage.clustered.knowledge.refresh();
  stage.clock.advance(5000);
  await stage.clustered.homeSource.read(chunk * chunkBytes, count * chunkBytes, sink, {});
  return sink;
}

t.test('what nobody holds comes from the origin, after everybody was asked once', async (t) => {
  const stage = new Stage(['a', 'b']);
  t.ok((await read(stage, 3, 2)).bytes.equals(expected(3, 2)));
  await read(stage, 9);
  t.same(stage.originReads, [`${3 * chunkBytes}+${2 * chunkBytes}`, `${9 * chunkBytes}+${chunkBytes}`]);
  t.same(stage.scripted('a').asked, ['cached']);
});

t.test('who was served is asked before the origin', async (t) => {
  const stage = new Stage(['a', 'b']);
  stage.clustered.onServed('a', 5 * chunkBytes, 2 * chunkBytes);
  const sink = await read(stage, 4, 4);
  t.ok(sink.bytes.equals(expected(4, 4)));
  t.same(sink.places, ['origin', 'peer', 'origin']);
  t.same(stage.scripted('a').asked, ['cached', `held ${5 * chunkBytes}+${2 * chunkBytes}`]);
  t.same(stage.originReads, [`${4 * chunkBytes}+${chunkBytes}`, `${7 * chunkBytes}+${chunkBytes}`]);
});

t.test('a chunk of which the end was not served is no hint', async (t) => {
  const stage = new Stage(['a']);
  stage.clustered.onServed('a', 5 * chunkBytes, chunkBytes - 1);
  await read(stage, 5);
  t.same(stage.scripted('a').asked, ['cached']);
});

t.test('what peers say that they hold is asked of them', async (t) => {
  const stage = new Stage(['a', 'b']);
  stage.scripted('b').cached = [
    { lengthBytes: 10 * chunkBytes, cached: false },
    { lengthBytes: content.sizeBytes - 10 * chunkBytes, cached: true },
  ];
  await read(stage, 20);
  t.same(stage.originReads, []);
  t.same(stage.scripted('b').asked, ['cached', `held ${20 * chunkBytes}+${chunkBytes}`]);
});

t.test('a wrong hint costs one hop, once', async (t) => {
  const stage = new Stage(['a', 'b']);
  stage.clustered.onServed('a', 0, chunkBytes);
  stage.scripted('a').held = failing('ERR_PEER_ABSENT');
  t.ok((await read(stage, 0)).bytes.equals(expected(0)));
  await read(stage, 0);
  t.same(stage.scripted('a').asked.filter((each) => each.startsWith('held')).length, 1);
  t.equal(stage.clustered.metrics.wrongHints, 1);
  t.equal(stage.originReads.length, 2);
});

t.test('a holder that breaks off inside of a chunk: the next one, and then the origin, begin the chunk anew', async (t) => {
  const stage = new Stage(['a', 'b']);
  for (const id of ['a', 'b']) {
    stage.clustered.onServed(id, 0, chunkBytes);
    stage.scripted(id).held = failing('ERR_PEER_GONE', id === 'a' ? 100 : 200);
  }
  const sink = await read(stage, 0);
  t.ok(sink.bytes.equals(expected(0)));
  t.same(stage.originReads, [`0+${chunkBytes}`], 'no chunk is put together from two');
});

t.test('one that comes is asked what it holds; when one has gone, all are asked again', async (t) => {
  const stage = new Stage(['a', 'b']);
  await read(stage, 0);
  const comer = new ScriptedPeer('c');
  stage.peers.set('c', comer);
  stage.revision += 1;
  await read(stage, 1);
  t.same(comer.asked, ['cached']);
  t.same(stage.scripted('a').asked, ['cached'], 'not those that were asked before');
  stage.peers.delete('b');
  stage.homes = stage.homes.filter(({ id }) => id !== 'b');
  stage.revision += 1;
  await read(stage, 2);
  t.same(stage.scripted('a').asked, ['cached', 'cached'], 'its extents are with others now');
});

t.test('a home that drains: all are asked again, it too', async (t) => {
  const stage = new Stage(['a', 'b']);
  await read(stage, 0);
  stage.homes = stage.homes.filter(({ id }) => id !== 'b');
  stage.scripted('b').cached = [{ lengthBytes: content.sizeBytes, cached: true }];
  stage.revision += 1;
  await read(stage, 2);
  t.match(stage.scripted('b').asked, ['cached', 'cached', `held ${2 * chunkBytes}+${chunkBytes}`]);
  t.equal(stage.originReads.length, 1);
});

t.test('a slow holder is hedged by another holder, never by the origin', async (t) => {
  const stage = new Stage(['a', 'b']);
  // Hedges are earned by requests, and what is slow is learnt from those that were not.
  for (let round = 0; round < 40; round += 1) {
    stage.clustered.onServed('a', round * chunkBytes, chunkBytes);
    await read(stage, round);
  }
  const chunk = 100;
  for (const id of ['a', 'b']) stage.clustered.onServed(id, chunk * chunkBytes, chunkBytes);
  const stuck = (_offset: number, _length: number, _sink: unknown, signal: AbortSignal | undefined) =>
    new Promise<void>((_resolve, reject) => {
      signal?.addEventListener('abort', () => reject(Object.assign(new Error('given up'), { code: 'ERR_ABORTED' })));
    });
  const [first] = stage.clustered.knowledge.map.holders(chunk);
  const slow = new Set(['a', 'b']);
  for (const id of slow) {
    const peer = stage.scripted(id);
    // Whoever is asked first is stuck, the other one answers.
    peer.held = (offset, lengthBytes, sink, signal) => {
      if (slow.size === 2) {
        slow.delete(id);
        return stuck(offset, lengthBytes, sink, signal);
      }
      return right(offset, lengthBytes, sink);
    };
  }
  t.ok(first !== undefined);
  // The one that is asked first needs a past to be called slow.
  for (const id of ['a', 'b']) for (let round = 0; round < 20; round += 1) stage.clustered.metrics.of(id).latency.observe(1);
  const reading = read(stage, chunk);
  await new Promise((resolve) => setImmediate(resolve));
  const originReads = stage.originReads.length;
  stage.clock.advance(50);
  t.ok((await reading).bytes.equals(expected(chunk)));
  t.equal(stage.clustered.metrics.hedges, 1);
  t.equal(stage.clustered.metrics.hedgeWins, 1);
  t.equal(stage.originReads.length, originReads);
});

t.test('shortly after a change those who were home before are read from, before the origin is asked', async (t) => {
  const stage = new Stage(['a', 'b']);
  const [a, b] = [stage.scripted('a'), stage.scripted('b')];
  for (const peer of [a, b]) peer.held = failing('ERR_PEER_ABSENT');
  const chunk = stage.chunkOf('self', 'a', 'b');
  const read = async () => {
    const sink = new Gathered();
    await stage.clustered.homeSource.read(chunk * chunkBytes, chunkBytes, sink, {});
    return sink.bytes;
  };
  t.ok((await read()).equals(expected(chunk)));
  t.same(a.asked, ['cached', `held ${chunk * chunkBytes}+${chunkBytes}`]);
  t.equal(stage.originReads.length, 1, 'and then the origin');
  a.held = right;
  t.ok((await read()).equals(expected(chunk)));
  t.equal(stage.originReads.length, 1);
  stage.clock.advance(4001);
  a.held = failing('ERR_PEER_ABSENT');
  await read();
  a.asked.length = 0;
  await read();
  t.same(a.asked, [], 'not later');
});

t.test('a peer that is late with what it holds is asked for it from then on', async (t) => {
  const stage = new Stage(['a']);
  const a = stage.scripted('a');
  let say = (): void => {};
  a.cachedRuns = () => new Promise((resolve) => (say = () => resolve([{ lengthBytes: content.sizeBytes, cached: true }])));
  const refreshed = stage.clustered.knowledge.refresh();
  await turns();
  stage.clock.advance(1000);
  await refreshed;
  await read(stage, 3);
  t.equal(stage.originReads.length, 1, 'nobody waits for it any longer');
  say();
  await turns();
  t.ok((await read(stage, 4)).bytes.equals(expected(4)));
  t.same(a.asked, [`held ${4 * chunkBytes}+${chunkBytes}`]);
  t.equal(stage.originReads.length, 1);
});

t.test('a peer that can not be asked what it holds is asked again, also when nothing else changes', async (t) => {
  const stage = new Stage(['a']);
  const a = stage.scripted('a');
  const { cachedRuns } = a;
  let failures = 0;
  a.cachedRuns = () => {
    failures += 1;
    return Promise.reject(new Error('the connection broke'));
  };
  await stage.clustered.knowledge.refresh();
  await stage.clustered.knowledge.refresh();
  t.equal(failures, 1, 'not at once');
  a.cachedRuns = cachedRuns;
  a.cached = [{ lengthBytes: content.sizeBytes, cached: true }];
  t.ok((await read(stage, 4)).bytes.equals(expected(4)));
  t.same(a.asked, ['cached', `held ${4 * chunkBytes}+${chunkBytes}`]);
  t.same(stage.originReads, []);
});

interface Attempt {
  sink: RangeSink;
  /** As an attempt of the origin's does that is to be made again. */
  fail(): void;
  end(): void;
}

t.test('while the origin fails, whoever comes to hold the chunk is asked for it', async (t) => {
  const stage = new Stage(['a', 'b']);
  const attempts: Attempt[] = [];
  stage.origin = (_offset, _lengthBytes, sink, { signal, onRetry }) =>
    new Promise((resolve, reject) => {
      const fail = (): void => {
        onRetry?.();
        if (signal?.aborted) reject(new AbortedError('read'));
      };
      attempts.push({ sink, fail, end: resolve });
    });
  const reading = read(stage, 3, 2);
  await turns();
  attempts[0]?.fail();
  await turns();
  t.same(stage.scripted('a').asked, ['cached'], 'it holds nothing');
  stage.clustered.onServed('a', 3 * chunkBytes, chunkBytes);
  attempts[0]?.fail();
  await turns();
  t.same(stage.scripted('a').asked, ['cached', `held ${3 * chunkBytes}+${chunkBytes}`]);
  t.same(
    stage.originReads,
    [`${3 * chunkBytes}+${2 * chunkBytes}`, `${4 * chunkBytes}+${chunkBytes}`],
    'what nobody holds it is asked for again',
  );
  attempts[1]?.sink.data(expected(4).subarray(0, 100));
  stage.clustered.onServed('b', 4 * chunkBytes, chunkBytes);
  attempts[1]?.fail();
  await turns();
  t.same(stage.scripted('b').asked, ['cached'], 'no chunk is put together from two');
  attempts[1]?.sink.data(expected(4).subarray(100));
  attempts[1]?.end();
  t.ok((await reading).bytes.equals(expected(3, 2)));
});

t.test('whoever gives up while the origin fails hears it', async (t) => {
  const stage = new Stage(['a']);
  stage.origin = (_offset, _lengthBytes, _sink, { signal }) =>
    new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(new AbortedError('read'))));
  const abort = new AbortController();
  await stage.clustered.knowledge.refresh();
  stage.clock.advance(5000);
  const reading = stage.clustered.homeSource.read(0, chunkBytes, new Gathered(), { signal: abort.signal });
  await turns();
  t.equal(stage.originReads.length, 1);
  abort.abort();
  await t.rejects(reading, { code: 'ERR_ABORTED' });
});

t.test('what is asked of the origin while nobody answers is counted', async (t) => {
  const stage = new Stage([]);
  stage.isCutOff = true;
  await read(stage, 0, 3);
  t.equal(stage.clustered.metrics.cutOffChunks, 3);
});
