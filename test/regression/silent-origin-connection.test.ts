/**
 * Connections to an HTTP origin that are kept alive can all die without a word, when a firewall forgets them. After one of them
 * had been waited for in vain, further reads were made on the others, each of which was waited for just as long.
 */
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { HttpOrigin, pinHttp } from '../../src/origin/http/http.js';
import { withRetry } from '../../src/origin/retry.js';
import { bufferSink } from '../../src/origin/sink.js';
import { pattern } from '../conformance/content.js';
import { ScriptedOrigin } from '../fault/origin.js';
import { until } from '../support/wait.js';
import { ForgetfulRelay } from './forgetful-relay.js';

const bytes = pattern(2 ** 20, 78);
const connectionCount = 6;

t.test('after one silent connection to an origin nobody waits for its neighbours', async (t) => {
  const scripted = await ScriptedOrigin.start(t, bytes);
  const { host, pathname } = new URL(scripted.url);
  const relay = await ForgetfulRelay.start(t, host);
  const url = `http://${relay.address}${pathname}`;
  const http = new HttpOrigin(url, await pinHttp(url, {}), { headerTimeoutMs: 500 });
  t.teardown(() => http.close());
  let retryCount = 0;
  const origin = withRetry(http, { onRetry: () => (retryCount += 1), firstDelayMs: 0 });
  const readAt = async (offset: number): Promise<void> => {
    const target = Buffer.alloc(4096);
    await origin.read(offset, target.length, bufferSink(target));
    t.ok(target.equals(bytes.subarray(offset, offset + target.length)));
  };
  scripted.always({ kind: 'delay', delayMs: 50 });
  await Promise.all(Array.from({ length: connectionCount }, (_, index) => readAt(index * 4096)));
  // The pool takes them back by then.
  await until('all connections are idle', () => relay.count() >= connectionCount);
  await turn();
  t.ok(relay.forget() >= connectionCount);
  retryCount = 0;
  await readAt(500_000);
  t.equal(retryCount, 1, 'one try was in vain');
  await Promise.all(Array.from({ length: connectionCount }, (_, index) => readAt(600_000 + index * 4096)));
  t.equal(retryCount, 1, 'and no other');
});
