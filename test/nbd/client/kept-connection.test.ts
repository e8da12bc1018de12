/** A kept connection is made once for all callers, again after a loss, and never after its end. */
import t, { type Test } from 'tap';
import { ClosedError } from '../../../src/base/error.js';
import { KeptConnection } from '../../../src/nbd/client/kept-connection.js';
import { NbdClient } from '../../../src/nbd/client/nbd-client.js';
import type { RawPeer } from '../server/raw-peer.js';
import { Assembly } from './assembly.js';
import { listen } from './scripted-server.js';

/** A kept connection to a server whose connections the test sees. */
async function stage(t: Test): Promise<{ kept: KeptConnection<NbdClient>; peers: RawPeer[]; port: number }> {
  const peers: RawPeer[] = [];
  const port = await listen(
    t,
    (peer) => peers.push(peer),
    () => 4096,
  );
  const kept = new KeptConnection<NbdClient>({
    name: 'the export',
    connect: (signal) => NbdClient.connect({ host: '127.0.0.1', port }, { signal }),
  });
  t.teardown(() => kept.end(new ClosedError('the test')));
  return { kept, peers, port };
}

t.test('connects at its first use, once for all, and again after a loss', async (t) => {
  const { kept, peers } = await stage(t);
  t.equal(peers.length, 0);
  t.equal(kept.open, undefined);
  const [one, two] = await Promise.all([kept.get(), kept.get()]);
  t.equal(one, two);
  t.equal(kept.open, one);
  const reading = one.read(0, 4096, new Assembly(0, 4096));
  await peers[0]?.read(32);
  peers[0]?.stream.destroy();
  await t.rejects(reading, { code: 'ERR_NBD_DISCONNECTED' }, 'no request is repeated');
  await one.closed;
  t.equal(kept.open, undefined);
  t.not(await kept.get(), one);
  t.equal(peers.length, 2);
});

t.test('a dropped connection ends its requests, and the next use makes another', async (t) => {
  const { kept, peers } = await stage(t);
  const one = await kept.get();
  const reading = one.read(0, 4096, new Assembly(0, 4096));
  await peers[0]?.read(32);
  kept.drop(new ClosedError('a silent connection'));
  await t.rejects(reading, { code: 'ERR_CLOSED' });
  const two = await kept.get();
  t.not(two, one);
  t.equal(kept.release(), two, 'a released connection stays open');
  t.equal(two.failure, undefined);
  t.not(await kept.get(), two);
  await two.disconnect();
});

t.test('a caller that gives up does not end the attempt for the others', async (t) => {
  const { kept } = await stage(t);
  const giveUp = new AbortController();
  const first = kept.get(giveUp.signal);
  const second = kept.get();
  giveUp.abort();
  await t.rejects(first, { code: 'ERR_ABORTED' });
  t.ok((await second).failure === undefined);
});

t.test('the end aborts an attempt, closes what it made, and refuses later uses', async (t) => {
  let made: { destroyed: Error | undefined; failure: undefined; destroy(reason: Error): void } | undefined;
  let finish = (): void => {};
  const kept = new KeptConnection({
    name: 'an export',
    connect: async (signal) => {
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      t.ok(signal.aborted, 'the attempt hears of the end');
      made = {
        destroyed: undefined,
        failure: undefined,
        destroy(reason) {
          this.destroyed = reason;
        },
      };
      return made;
    },
  });
  const waiting = kept.get();
  const reason = new ClosedError('an export');
  kept.end(reason);
  finish();
  await t.rejects(waiting, { code: 'ERR_CLOSED' });
  t.equal(made?.destroyed, reason);
  await t.rejects(kept.get(), { code: 'ERR_CLOSED' });
  t.equal(kept.reason, reason);
});

t.test('a failed attempt belongs to its callers; the next use makes another', async (t) => {
  const { port } = await stage(t);
  let attempts = 0;
  const kept = new KeptConnection<NbdClient>({
    name: 'an export',
    connect: async (signal) => {
      attempts += 1;
      if (attempts === 1) throw new Error('refused');
      return NbdClient.connect({ host: '127.0.0.1', port }, { signal });
    },
  });
  t.teardown(() => kept.end(new ClosedError('the test')));
  await t.rejects(kept.get(), { message: 'refused' });
  t.ok((await kept.get()).failure === undefined);
});
