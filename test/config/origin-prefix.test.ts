/**
 * The operator's prefixes cover whole segments of a URL or path, no users, and no way out of a
 * directory.
 */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { checkOriginPrefix, isAllowedOrigin, originPrefixFor } from '../../src/config/origin-prefix.js';

t.test('URLs', async (t) => {
  const prefixes = ['https://images.example/a', 'http://images.example:8080', 'nbd://store.example/'].map(checkOriginPrefix);
  for (const url of [
    'https://images.example/a',
    'https://images.example/a/b.raw',
    'https://images.example/a/b.raw?signature=1',
    'https://IMAGES.example:443/a/b.raw',
    'http://images.example:8080/x',
    'nbd://store.example/export',
  ]) {
    t.ok(isAllowedOrigin(url, prefixes), url);
  }
  for (const url of [
    'https://images.example/ab.raw',
    'https://images.example.evil/a/b.raw',
    'https://images.example@evil/a/b.raw',
    'https://user@images.example/a/b.raw',
    'https://images.example/a/../b.raw',
    'https://images.example/a/%2e%2e/b.raw',
    'http://images.example/a/b.raw',
    'http://images.example:80801/x',
    'nbd+unix:///export?socket=/run/x',
    'nbd://store.example:10810/export',
    'file:///a',
    '/a',
    'a',
    '',
  ]) {
    t.notOk(isAllowedOrigin(url, prefixes), url);
  }
});

t.test('paths', async (t) => {
  const dir = t.testdir({});
  const images = join(dir, 'images');
  mkdirSync(images);
  for (const path of [join(images, 'a.raw'), join(dir, 'secret'), join(dir, 'images-2')]) writeFileSync(path, 'x');
  symlinkSync(join(dir, 'secret'), join(images, 'link.raw'));
  for (const prefix of [images, `${images}/`, `file://${images}`]) {
    const prefixes = [checkOriginPrefix(prefix)];
    t.ok(isAllowedOrigin(join(images, 'a.raw'), prefixes), prefix);
    t.ok(isAllowedOrigin(`file://${images}/a.raw`, prefixes), prefix);
    for (const path of ['images-2', 'secret', 'images/link.raw', 'images/../secret', 'images/none.raw']) {
      t.notOk(isAllowedOrigin(`${dir}/${path}`, prefixes), path);
    }
    t.notOk(isAllowedOrigin(`file://${images}/..%2fsecret`, prefixes));
    t.notOk(isAllowedOrigin(`file://host${images}/a.raw`, prefixes));
  }
});

t.test('what is no prefix', async (t) => {
  for (const text of [
    '',
    'images',
    'ftp://x/',
    'https://',
    'https://user:secret@images.example/',
    'https://images.example/?x=1',
    'nbd+unix:///x',
  ])
    t.throws(() => checkOriginPrefix(text), { code: 'ERR_URL' }, text);
});

t.test('what an operator is told to write covers the URL, and nothing of it is a password', async (t) => {
  const dir = t.testdir({ 'a.raw': 'x' });
  for (const url of [
    `${dir}/a.raw`,
    `file://${dir}/a.raw`,
    'https://images.example/a/b.raw?signature=secret',
    'nbd://store.example/export',
  ]) {
    const prefix = originPrefixFor(url);
    t.ok(prefix !== undefined && isAllowedOrigin(url, [checkOriginPrefix(prefix)]), url);
    t.notMatch(prefix, /secret/);
  }
  t.notMatch(originPrefixFor('https://user:secret@images.example/a.raw'), /secret/);
  t.equal(originPrefixFor('nbd+unix:///export?socket=/run/x'), undefined);
});
