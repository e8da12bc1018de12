import t from 'tap';
import { formatPeerExport, type PeerExport, parsePeerExport } from '../../../src/peer/wire/export-name.js';

const id = '0123456789abcdef0123456789abcdef';
const digest = id + id;
const uuid = '0b54a3cd-92f9-4b6c-9a5e-0a64c3a1f5d2';

t.test('names are read as they are written', async (t) => {
  const names: [string, PeerExport][] = [
    ['node', { kind: 'node' }],
    [`home/${id}`, { kind: 'home', id }],
    [`held/${id};from=host-a.rack_1`, { kind: 'held', id, from: 'host-a.rack_1' }],
    [`home/${id};background`, { kind: 'home', id, background: true }],
    [`home/${id};from=a;background`, { kind: 'home', id, from: 'a', background: true }],
    [`manifest/${digest}`, { kind: 'manifest', digest }],
    ['image/a b/c', { kind: 'image', name: 'a b/c' }],
    ['call', { kind: 'call' }],
    ['call;from=host-a', { kind: 'call', from: 'host-a' }],
    [`disk/${uuid};from=a`, { kind: 'disk', uuid, from: 'a' }],
    [`blocks/${uuid};from=a`, { kind: 'blocks', uuid, from: 'a' }],
    [`blocks/${uuid};from=a;background`, { kind: 'blocks', uuid, from: 'a', background: true }],
    [`map/${uuid};from=host-b`, { kind: 'map', uuid, from: 'host-b' }],
    [`map/${uuid};from=host-b;changes`, { kind: 'map', uuid, from: 'host-b', changes: true }],
  ];
  for (const [text, name] of names) {
    t.same(parsePeerExport(text), name, text);
    t.equal(formatPeerExport(name), text);
  }
  t.equal(formatPeerExport({ kind: 'home', id, background: false, from: undefined }), `home/${id}`);
});

t.test('parameters of a later version are passed over', async (t) => {
  t.same(parsePeerExport(`home/${id};urgent=1;from=b;x`), { kind: 'home', id, from: 'b' });
  t.same(parsePeerExport('node;x=1'), { kind: 'node' });
  t.same(parsePeerExport('call;x=1;from=a'), { kind: 'call', from: 'a' });
  t.same(parsePeerExport(`map/${uuid};x;changes;from=b;background`), { kind: 'map', uuid, from: 'b', changes: true });
  t.same(parsePeerExport(`disk/${uuid};changes;from=b`), { kind: 'disk', uuid, from: 'b' });
});

t.test('what is no name', async (t) => {
  const texts = [
    '',
    'nodes',
    'home',
    'home/',
    `home/${id}0`,
    `home/${id.slice(1)}`,
    `home/${id.toUpperCase()}`,
    `Home/${id}`,
    `held/${digest}`,
    `manifest/${id}`,
    `other/${id}`,
    `home/${id}/x`,
    ` home/${id}`,
    `home/${id}\n`,
    `home/${id};from=`,
    `home/${id};from=-a`,
    `home/${id};from=${'a'.repeat(64)}`,
    `home/${id};from=a b`,
    'disk',
    `disk/${uuid}`,
    `blocks/${uuid};background`,
    `map/${uuid};changes`,
    `disk/${uuid};from=`,
    `disk/${uuid.toUpperCase()};from=a`,
    `disk/${uuid}0;from=a`,
    `disk/${id};from=a`,
    `disk/x${uuid};from=a`,
    `disk/../${uuid};from=a`,
    `map/${uuid}\n;from=a`,
    `disks/${uuid};from=a`,
    'call/x',
  ];
  for (const text of texts) t.equal(parsePeerExport(text), undefined, text);
});
