import { inspect } from 'node:util';
import t from 'tap';
import { displayUrl, hidesSecret, redactUrls } from '../../src/base/display-url.js';
import { CopseError, errorMessage } from '../../src/base/error.js';
import { foreignErrorCode } from '../../src/base/error-code.js';
import { Secret } from '../../src/base/secret.js';

t.test('what is shown holds no secrets', async (t) => {
  for (const [url, shown] of [
    ['https://me:hush@host:1/a?X-Amz-Signature=hush#hush', 'https://host:1/a?…'],
    ['http://me@host/a@b', 'http://host/a@b'],
    ['https://a:hush@c@host/', 'https://host/'],
    ['https://me:hu/sh@host/a', 'https://…'],
    ['https://me:hu#sh@host/a', 'https://…'],
    ['https://me:hu?sh@host/a', 'https://…'],
    ['https:/me:hush@host/a', 'https://…'],
    ['https:\\\\me:hush@host/a', 'https://…'],
    ['me:hush@host/a', 'me:…'],
    ['nbd://me:hush@host/a', 'nbd://host/a'],
    ['nbd+unix:///x?socket=/s', 'nbd+unix:///x?socket=/s'],
    ['nbd+unix:///x?tls-psk-file=/hush&socket=/s&key=hush', 'nbd+unix:///x?socket=/s'],
    ['s3://bucket/key?hush', 's3://bucket/key?…'],
    ['/srv/a?b', '/srv/a?b'],
    ['file:///srv/a?b', 'file:///srv/a?b'],
    ['http://HOST:PORT', 'http://HOST:PORT'],
  ] as const) {
    t.equal(displayUrl(url), shown, url);
    t.equal(displayUrl(shown), shown, 'shown again');
    t.equal(hidesSecret(url), shown !== url.replace(/#.*/, ''), url);
  }
});

t.test('URLs in texts', async (t) => {
  t.equal(
    redactUrls('read of https://me:hush@host/a?hush: failed; see (http://h/?hush), "https://h/?hush", \'https://h/?hush\'.'),
    'read of https://host/a?…: failed; see (http://h/?…), "https://h/?…", \'https://h/?…\'.',
  );
  for (const text of ['write http://HOST:PORT or https://HOST:PORT', 'use https://…, nbd+unix:///EXPORT?socket=PATH or a path', 'a: b']) {
    t.equal(redactUrls(text), text);
  }
  t.equal(
    errorMessage(new CopseError(foreignErrorCode('ERR_X'), 'below', { cause: new Error('GET http://me:hush@h/x') })),
    'below: GET http://h/x',
  );
  t.ok(redactUrls(`http://${':'.repeat(20_000)}`).length > 0, 'in little time');
});

t.test('a secret is revealed and not printed', async (t) => {
  const secret = new Secret('hush');
  t.equal(secret.reveal(), 'hush');
  t.notMatch([`${secret}`, JSON.stringify({ secret }), inspect({ secret }, { showHidden: true, depth: 9 })].join(), /hush/);
});
