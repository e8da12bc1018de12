import t from 'tap';
import { formatPeerExport, type PeerExport, parsePeerExport } from '../../../src/cluster/peer/export-name.js';

const id = '0123456789abcdef0123456789abcdef';
const digest = id + id;

t.test('names are read as they are written', async (t) => {
  const names: [string, PeerExport][] = [
    ['node', { kind: 'node' }],
    [`home/${id}`, { kind: 'home', id }],
    [`held/${id};from=host-a.rack_1`, { kind: 'held', id, from: 'host-a.rack_1' }],
    [`home/${id};background`, { kind: 'home', id, background: true }],
    [`home/${id};from=a;background`, { kind: 'home', id, from: 'a', background: true }],
    [`manifest/${digest}`, { kind: 'manifest', digest }],
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
  ];
  for (const text of texts) t.equal(parsePeerExport(text), undefined, text);
});
