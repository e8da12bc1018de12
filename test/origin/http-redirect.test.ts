import { randomBytes } from 'node:crypto';
import t from 'tap';
import { Secret } from '../../src/base/secret.js';
import type { RangeSink } from '../../src/block/sink.js';
import { credentialFor } from '../../src/origin/http/credential.js';
import { HttpOrigin, pinHttp } from '../../src/origin/http/http.js';
import { httpTarget, redirectedTarget } from '../../src/origin/http/target.js';
import { bufferSink } from '../../src/origin/sink.js';
import { scriptedServer } from './http-server.js';

const content = randomBytes(10_000);
const nowhere: RangeSink = { data: () => {}, zeroes: () => {} };
const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;

t.test('a redirect to another host strips credentials, is remembered, and is resolved anew when it fails', async (t) => {
  const [front, back] = [await scriptedServer(content), await scriptedServer(content)];
  t.teardown(() => Promise.all([front.close(), back.close()]));
  let signature = 1;
  front.handler = (_request, response) => response.writeHead(307, { location: `${back.url}?signature=${signature}` }).end();
  back.handler = (request, response) => {
    if (request.url?.endsWith(`=${signature}`)) back.serve(request, response);
    else response.writeHead(403).end('expired');
  };
  let nowMs = 0;
  const clock = { nowMs: () => nowMs, after: () => () => {} };
  const url = front.url.replace('://', '://me:p%40ss@');
  const origin = new HttpOrigin(url, await pinHttp(url, {}), { clock });
  t.teardown(() => origin.close());
  t.notMatch(origin.url, /p%40ss|me/);
  const target = Buffer.alloc(5000);
  await origin.read(100, 5000, bufferSink(target));
  t.ok(target.equals(content.subarray(100, 5100)));
  t.equal(front.requests[0]?.headers.authorization, basic('me:p@ss'));
  t.equal(back.requests[0]?.headers.authorization, undefined);

  const frontCount = front.requests.length;
  await origin.read(0, 100, nowhere);
  t.equal(front.requests.length, frontCount, 'the second read goes straight to the end of the redirect');
  signature = 2;
  await origin.read(0, 100, nowhere);
  t.equal(front.requests.length, frontCount + 1, 'an expired signature is resolved anew within the read');
  nowMs += 61_000;
  await origin.read(0, 100, nowhere);
  t.equal(front.requests.length, frontCount + 2, 'a minute later the first URL is asked again');
  await back.close();
  await t.rejects(origin.read(0, 100, nowhere), { code: 'ERR_ORIGIN_UNAVAILABLE' });
  front.handler = undefined;
  await origin.read(0, 100, nowhere);
});

t.test('a chain of five redirects is followed, one of six is not', async (t) => {
  const server = await scriptedServer(content);
  t.teardown(() => server.close());
  const base = new URL(server.url).origin;
  server.handler = (request, response) => {
    const left = Number(request.url?.slice(1));
    if (left === 0) server.serve(request, response);
    else response.writeHead(302, { location: `/${left - 1}` }).end();
  };
  t.equal((await pinHttp(`${base}/5`, {})).etag, '"one"');
  await t.rejects(pinHttp(`${base}/6`, {}), { code: 'ERR_ORIGIN_REFUSED' });
});

t.test('credentials go by the longest prefix, to no look-alike host', async (t) => {
  const server = await scriptedServer(content);
  t.teardown(() => server.close());
  const base = new URL(server.url).origin;
  const credentials = [
    { urlPrefix: `${base}/`, basic: { user: 'all', password: new Secret('of it') } },
    { urlPrefix: `${base}/image`, bearer: new Secret('token') },
    { urlPrefix: `${base}/other`, bearer: new Secret('wrong') },
  ];
  await pinHttp(server.url, { credentials });
  t.equal(server.requests.at(-1)?.headers.authorization, 'Bearer token');
  await pinHttp(`${base}/x`, { credentials });
  t.equal(server.requests.at(-1)?.headers.authorization, basic('all:of it'));
  await pinHttp(server.url.replace('://', '://own:one@'), { credentials });
  t.equal(server.requests.at(-1)?.headers.authorization, basic('own:one'));

  const prefix = [{ urlPrefix: 'https://host', bearer: new Secret('x') }];
  t.ok(credentialFor(new URL('https://host/a'), prefix));
  for (const url of ['https://host.example.org/a', 'https://host@example.org/a', 'http://host/a', 'https://host:8443/a']) {
    t.equal(credentialFor(new URL(url), prefix), undefined, url);
  }
});

t.test('a redirect does not leave TLS and does not bring a user of its own', async (t) => {
  const from = httpTarget(new URL('https://me:secret@host/a'), []);
  t.throws(() => redirectedTarget(from, 'http://host/a', []), { code: 'ERR_ORIGIN_REFUSED' });
  t.throws(() => redirectedTarget(from, 'https://[', []), { code: 'ERR_ORIGIN_REFUSED' });
  t.notOk(redirectedTarget(from, 'https://you:other@elsewhere/', []).headers.includes('authorization'));
  t.ok(redirectedTarget(from, '/b', []).headers.includes(basic('me:secret')));
});
