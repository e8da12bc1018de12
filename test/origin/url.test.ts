import t from 'tap';
import { displayUrl } from '../../src/base/display-url.js';
import { openOrigin, pinOrigin } from '../../src/origin/open.js';
import { originKind, originPath } from '../../src/origin/url.js';

t.test('kinds', async (t) => {
  t.equal(originKind('HTTPS://host/a'), 'http');
  t.equal(originKind('/srv/a:b'), 'file');
  t.equal(originKind('file:///srv/a'), 'file');
  t.equal(originKind('nbd+unix:///x?socket=/s'), 'nbd');
  for (const url of ['image.raw', './image.raw', 'ftp://host/a', 'nbds://host/a', ''])
    t.throws(() => originKind(url), { code: 'ERR_ORIGIN_REFUSED' }, url);
  t.throws(() => originKind('ftp://host/a'), /https:/, 'the text lists what there is');
});

t.test('paths', async (t) => {
  t.equal(originPath('/a b%20c'), '/a b%20c');
  t.equal(originPath('file:///a%20b'), '/a b');
  t.equal(originPath('file:/a'), '/a');
  for (const url of ['file:a', 'file://elsewhere/a', 'file:///a%2fb', '/a\0b'])
    t.throws(() => originPath(url), { code: 'ERR_ORIGIN_REFUSED' }, JSON.stringify(url));
});

t.test('what is shown holds no secrets', async (t) => {
  t.equal(displayUrl('https://me:pass@host:1/a?X-Amz-Signature=abc#d'), 'https://host:1/a?…');
  t.equal(displayUrl('http://me@host/a@b'), 'http://host/a@b');
  t.equal(displayUrl('https://a:b@c@host/'), 'https://host/');
  t.equal(displayUrl('nbd+unix:///x?socket=/s'), 'nbd+unix:///x?socket=/s');
  t.equal(displayUrl('/srv/a?b'), '/srv/a?b');
});

t.test('opening contacts nobody, and the identity must be of the kind of the URL', async (t) => {
  const http = openOrigin('http://127.0.0.1:1/a', { kind: 'http', sizeBytes: 1, etag: '"a"' });
  const file = openOrigin('/nowhere', { kind: 'file', sizeBytes: 1, inode: '1', mtimeNs: '1' });
  const nbd = openOrigin('nbd://127.0.0.1:1/a', { kind: 'nbd', sizeBytes: 1 });
  await Promise.all([http.close(), file.close(), nbd.close()]);
  t.throws(() => openOrigin('/nowhere', { kind: 'nbd', sizeBytes: 1 }), { code: 'ERR_ORIGIN_REFUSED' });
  await t.rejects(pinOrigin('gopher://host/'), { code: 'ERR_ORIGIN_REFUSED' });
  await t.rejects(pinOrigin('nbd://127.0.0.1:1/a'), { code: 'ERR_ORIGIN_UNAVAILABLE' });
  await t.rejects(pinOrigin('nbd+unix:///a'), { code: 'ERR_ORIGIN_REFUSED' });
  await t.rejects(pinOrigin('http://127.0.0.1:1/a'), { code: 'ERR_ORIGIN_UNAVAILABLE' });
});
