import fc from 'fast-check';
import t from 'tap';
import { formatNbdUri, parseNbdUri } from '../../../src/nbd/codec/uri.js';

t.test('URIs of the specification', async (t) => {
  const cases: Record<string, unknown> = {
    'nbd://example.com/disk': { address: { host: 'example.com', port: 10809 }, exportName: 'disk' },
    'nbd://example.com': { address: { host: 'example.com', port: 10809 }, exportName: '' },
    'nbd://example.com/': { address: { host: 'example.com', port: 10809 }, exportName: '' },
    'nbd://example.com//disk': { address: { host: 'example.com', port: 10809 }, exportName: '/disk' },
    'nbd://example.com:1/hello%20world': { address: { host: 'example.com', port: 1 }, exportName: 'hello world' },
    'nbd://[::1]:10810/a/b+c': { address: { host: '::1', port: 10810 }, exportName: 'a/b+c' },
    'NBD+UNIX:///disk?socket=nbd.sock': { address: { path: 'nbd.sock' }, exportName: 'disk' },
    'nbd+unix:///?socket=/run/a%20b.sock': { address: { path: '/run/a b.sock' }, exportName: '' },
    'nbd+unix://?socket=%00/abstract': { address: { path: '\0/abstract' }, exportName: '' },
  };
  for (const [text, expected] of Object.entries(cases)) t.same(parseNbdUri(text), expected, text);
});

t.test('what can not be used is refused', async (t) => {
  for (const text of [
    '',
    'disk',
    'nbd:example.com',
    'nbd:///disk',
    'nbds://example.com/',
    'nbds+unix:///?socket=a',
    'http://example.com/',
    'nbd+unix:///disk',
    'nbd+unix:///disk?socket=',
    'nbd+unix://host/disk?socket=a',
    'nbd+unix:///disk?socket=a&socket=b',
    'nbd+unix:///disk?socket=a&tls-type=psk',
    'nbd://example.com/?socket=a',
    'nbd://example.com:0/',
    'nbd://example.com:65536/',
    'nbd://example.com:1x/',
    'nbd://user@example.com/',
    'nbd://example.com/%zz',
    'nbd://example.com/%00',
    'nbd://example.com/a#b',
  ]) {
    t.throws(() => parseNbdUri(text), { code: 'ERR_URL' }, text);
  }
});

t.test('what is formatted is parsed to the same', async (t) => {
  const text = fc.string({ unit: 'grapheme', maxLength: 40 }).filter((name) => !name.includes('\0'));
  const address = fc.oneof(
    fc.record({ path: text.filter((path) => path !== '') }),
    fc.record({ host: fc.constantFrom('localhost', '::1', '10.0.0.1', 'fe80::1%eth0'), port: fc.integer({ min: 1, max: 65535 }) }),
  );
  fc.assert(
    fc.property(address, text, (where, exportName) => {
      const parsed = parseNbdUri(formatNbdUri({ address: where, exportName }));
      return JSON.stringify(parsed) === JSON.stringify({ address: { ...where }, exportName });
    }),
  );
  t.pass();
});
