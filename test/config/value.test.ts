import fc from 'fast-check';
import t from 'tap';
import { digestOf } from '../../src/base/digest.js';
import { checkDigest } from '../../src/base/digest-text.js';
import { errorMessage } from '../../src/base/error.js';
import { absoluteAddress, checkHostPort, formatAddress, isLocalAddress, isSameHostPort, parseAddress } from '../../src/config/address.js';
import { nearest } from '../../src/config/nearest.js';
import { absoluteUrl, checkOriginUrl } from '../../src/config/url.js';
import {
  checkClusterChoice,
  checkEtcdPrefix,
  checkEtcdUrl,
  checkShare,
  parseChunkSize,
  parseDuration,
  parseMode,
  parsePair,
  parseSizeOrShare,
} from '../../src/config/value.js';

t.test('durations', async (t) => {
  for (const [text, ms] of [
    ['0', 0],
    ['500ms', 500],
    ['30s', 30_000],
    ['1.5m', 90_000],
    ['2 h', 7_200_000],
    ['596h', 2_145_600_000],
  ] as const) {
    t.equal(parseDuration(text), ms, text);
  }
  for (const text of ['', '30', '-1s', '1d', '1e3s', 's', '597h', '1.s', 'Infinity', '1ss'])
    t.throws(() => parseDuration(text), { code: 'ERR_DURATION' }, text);
});

t.test('sizes and shares', async (t) => {
  t.same(parseSizeOrShare('100G'), { bytes: 100 * 2 ** 30 });
  t.same(parseSizeOrShare('0'), { bytes: 0 });
  t.same(parseSizeOrShare('50%'), { share: 0.5 });
  t.same(parseSizeOrShare('100 %'), { share: 1 });
  for (const text of ['0%', '101%', '-5%', '%', '5%%', 'G', '']) t.throws(() => parseSizeOrShare(text), { code: 'ERR_SIZE' }, text);
});

t.test('chunk sizes', async (t) => {
  for (const [text, bytes] of [
    ['64K', 65536],
    ['1M', 1048576],
    ['262144', 262144],
  ] as const)
    t.equal(parseChunkSize(text), bytes);
  for (const text of ['32K', '2M', '96K', '0', '65537', '64Q']) t.throws(() => parseChunkSize(text), { code: 'ERR_SIZE' }, text);
});

t.test('modes', async (t) => {
  t.equal(parseMode('0660'), 0o660);
  t.equal(parseMode('600'), 0o600);
  for (const text of ['888', '1660', '66', 'rw', '']) t.throws(() => parseMode(text), { code: 'ERR_MODE' }, text);
});

t.test('pairs', async (t) => {
  t.same(parsePair('a=http://x/?b=c', 'A=B'), ['a', 'http://x/?b=c']);
  for (const text of ['a', '=a', 'a=']) t.throws(() => parsePair(text, 'A=B'), { code: 'ERR_OPTION' }, text);
});

t.test('addresses', async (t) => {
  for (const text of ['unix:/run/a b.sock', 'tcp:127.0.0.1:10809', 'tcp:[::1]:0', 'tcp:host.example:65535', 'unix:rel']) {
    t.equal(formatAddress(parseAddress(text)), text);
  }
  for (const text of ['', 'unix:', 'tcp:1', 'tcp:a:b', 'tcp:a:65536', 'tcp:::1:80', '/run/x', 'udp:a:1', 'tcp::80']) {
    t.throws(() => parseAddress(text), { code: 'ERR_ADDRESS' }, text);
  }
  t.same(absoluteAddress({ kind: 'unix', path: 'a' }, '/b'), { kind: 'unix', path: '/b/a' });
  t.throws(() => absoluteAddress({ kind: 'unix', path: 'a'.repeat(107) }, '/'), { code: 'ERR_ADDRESS' });
  t.doesNotThrow(() => absoluteAddress({ kind: 'unix', path: 'a'.repeat(106) }, '/'));
  for (const text of ['unix:/a', 'tcp:localhost:1', 'tcp:127.1.2.3:1', 'tcp:[::1]:1']) t.ok(isLocalAddress(parseAddress(text)), text);
  for (const text of ['tcp:0.0.0.0:1', 'tcp:[::]:1', 'tcp:127.example.org:1', 'tcp:10.0.0.1:1'])
    t.notOk(isLocalAddress(parseAddress(text)), text);
});

t.test('URLs', async (t) => {
  t.equal(absoluteUrl('d.raw', '/a'), '/a/d.raw');
  t.equal(absoluteUrl('/d.raw', '/a'), '/d.raw');
  for (const url of ['https://o/x', 'nbd+unix:///x?socket=/s', 'file:/x']) t.equal(absoluteUrl(url, '/a'), url);
});

t.test('origins', async (t) => {
  for (const url of ['/d.raw', 'https://o/x', 'HTTP://o/x', 'nbd://o/x', 'nbd+unix:///x?socket=/s', 'file:/x', 'file:///x']) {
    t.equal(checkOriginUrl(url), url);
  }
  for (const url of ['', 'd.raw', './d.raw', 'file:d.raw', 'ftp://o/x', 's3:x', 'c:\\d.raw']) {
    t.throws(() => checkOriginUrl(url), { code: 'ERR_URL' }, url);
  }
  t.notMatch(
    messageOf(() => checkOriginUrl('ftp://user:secret@o/x')),
    /secret/,
  );
});

t.test('addresses of nodes', async (t) => {
  for (const text of ['10.0.0.1:10810', '[2001:db8::1]:1', 'host.example:65535', 'a:1']) t.equal(checkHostPort(text), text);
  const wrong = [
    '',
    'a',
    'a:',
    ':1',
    'a:0',
    'a:65536',
    '::1:80',
    'tcp:a:1',
    'http://a:1',
    'a:1,b:2',
    'a b:1',
    '0.0.0.0:1',
    '[::]:1',
    'a:1/x',
  ];
  for (const text of wrong) t.throws(() => checkHostPort(text), { code: 'ERR_ADDRESS' }, text);
  t.ok(isSameHostPort('Host:1', 'host:1'));
  t.ok(isSameHostPort('[2001:DB8:0::1]:80', '[2001:db8::1]:80'));
  t.notOk(isSameHostPort('a:1', 'a:2'));
  t.notOk(isSameHostPort('a:1', 'b:1'));
});

t.test('names of clusters', async (t) => {
  for (const name of ['auto', 'default', '1', 'rack-1.row_2', 'x'.repeat(63)]) t.equal(checkClusterChoice(name), name);
  for (const name of ['', '-a', 'a/b', 'a b', 'x'.repeat(64)]) t.throws(() => checkClusterChoice(name), { code: 'ERR_NAME' }, name);
});

t.test('etcd', async (t) => {
  for (const url of ['http://127.0.0.1:2379', 'https://[::1]:2379', 'https://e.example:443']) t.equal(checkEtcdUrl(url), url);
  t.equal(checkEtcdUrl('http://e:1/'), 'http://e:1', 'a slash at the end means nothing');
  for (const url of ['', 'e:2379', 'http://e', 'http://e:0', 'http://e:65536', 'ftp://e:1', 'http://e:1/x', 'http://u:secret@e:1']) {
    t.throws(() => checkEtcdUrl(url), { code: 'ERR_URL' }, url);
  }
  t.notMatch(
    messageOf(() => checkEtcdUrl('http://u:secret@e:1')),
    /secret/,
  );
  for (const prefix of ['/copse', '/a/b.c']) t.equal(checkEtcdPrefix(prefix), prefix);
  for (const prefix of ['', '/', 'a', '/a/', '//a', '/a b']) t.throws(() => checkEtcdPrefix(prefix), { code: 'ERR_OPTION' }, prefix);
});

t.test('manifests and sharing', async (t) => {
  const digest = `blake3:${'0f'.repeat(32)}`;
  t.equal(checkDigest(digest), digest);
  t.equal(checkDigest(digestOf(Buffer.from('x'))), digestOf(Buffer.from('x')), 'as digests are written');
  for (const text of ['', '0f'.repeat(32), `sha256:${'0f'.repeat(32)}`, `${digest}0`, digest.slice(0, -1), digest.toUpperCase()]) {
    t.throws(() => checkDigest(text), { code: 'ERR_DIGEST' }, text);
  }
  t.equal(checkShare('trust'), 'trust');
  t.throws(() => checkShare('always'), { code: 'ERR_OPTION', message: /auto, trust, never/ });
});

function messageOf(check: () => unknown): string {
  try {
    check();
  } catch (error) {
    return errorMessage(error);
  }
  throw new Error('nothing was refused');
}

t.test('nearest word', async (t) => {
  const known = ['size', 'min_free', 'chunk_size', 'deadline'];
  const meant = {
    minfree: 'min_free',
    'min-free': 'min_free',
    chunksize: 'chunk_size',
    dealdine: 'deadline',
    Size: 'size',
    free: 'min_free',
  };
  for (const [word, key] of Object.entries(meant)) t.equal(nearest(word, known), key, word);
  t.equal(nearest('colour', known), undefined);
  fc.assert(fc.property(fc.constantFrom(...known), (word) => nearest(word, known) === word));
});
