import t from 'tap';
import type { Clock } from '../../../src/base/clock.js';
import { ReconnectingNbdClient } from '../../../src/nbd/client/reconnecting-nbd-client.js';
import type { RawPeer } from '../server/raw-peer.js';
import { Assembly } from './assembly.js';
import { listen } from './scripted-server.js';

t.test('connects when asked, once for all, and again after a loss', async (t) => {
  const peers: RawPeer[] = [];
  let sizeBytes = 4096;
  const port = await listen(
    t,
    (peer) => peers.push(peer),
    () => sizeBytes,
  );
  const client = new ReconnectingNbdClient({ host: '127.0.0.1', port });
  t.equal(peers.length, 0);
  const [one, two] = await Promise.all([client.client(), client.client()]);
  t.equal(one, two);
  const reading = client.read(0, 4096, new Assembly(0, 4096));
  await peers[0]?.read(32);
  peers[0]?.stream.destroy();
  await t.rejects(reading, { code: 'ERR_NBD_DISCONNECTED' }, 'nothing is repeated behind the back');
  await one.closed;
  t.not(await client.client(), one);
  t.equal(peers.length, 2);
  sizeBytes = 8192;
  peers[1]?.stream.destroy();
  await (await client.client().catch(() => undefined))?.closed;
  await t.rejects(client.read(0, 1, new Assembly(0, 1)), { code: 'ERR_NBD_CHANGED' });
  await client.disconnect();
  await t.rejects(client.flush(), { code: 'ERR_CLOSED' });
});

t.test('keeps a distance that doubles, with jitter', async (t) => {
  const delays: number[] = [];
  const clock: Clock = {
    nowMs: () => 0,
    after: (delayMs, callback) => {
      delays.push(delayMs);
      setImmediate(callback);
      return () => {};
    },
  };
  const path = `${t.testdir()}/none`;
  const client = new ReconnectingNbdClient({ path }, { clock, random: () => 0.5, backoffMinMs: 100, backoffMaxMs: 1000 });
  for (let count = 0; count < 7; count += 1) await t.rejects(client.client(), { code: 'ERR_NBD_DISCONNECTED' });
  t.same(delays, [75, 150, 300, 600, 750, 750], 'none before the first failure');
  const controller = new AbortController();
  const waiting = client.client({ signal: controller.signal });
  controller.abort();
  await t.rejects(waiting, { code: 'ERR_ABORTED' });
  await client.disconnect();
});

t.test('closing ends an attempt that waits', async (t) => {
  const clock: Clock = { nowMs: () => 0, after: () => () => {} };
  const client = new ReconnectingNbdClient({ path: `${t.testdir()}/none` }, { clock });
  await t.rejects(client.client(), { code: 'ERR_NBD_DISCONNECTED' });
  const waiting = client.client();
  await Promise.all([t.rejects(waiting, { code: 'ERR_CLOSED' }), client.disconnect()]);
});
