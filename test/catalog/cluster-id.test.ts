/** Which contents are shared in a cluster, under which id, and by which guard. */
import t from 'tap';
import { clusterIdOf, type ShareRule } from '../../src/catalog/cluster-id.js';
import { type ContentSpec, containerSpec, contentId } from '../../src/catalog/image-record.js';

const base = { url: 'https://images.example/a.raw', format: 'raw', sizeBytes: 1000, chunkSizeBytes: 262_144 };
const strong: ContentSpec = { ...base, identity: { kind: 'http', sizeBytes: 1000, etag: '"x"' } };
const weak: ContentSpec = {
  ...base,
  identity: { kind: 'http', sizeBytes: 1000, etag: 'W/"x"', lastModified: 'Sat, 21 Nov 2026 10:00:00 GMT' },
};
const nbd: ContentSpec = { ...base, url: 'nbd://store/a', identity: { kind: 'nbd', sizeBytes: 1000 } };
const digest = `blake3:${'7'.repeat(64)}`;
const file: ContentSpec = { ...base, url: '/srv/a.raw', identity: { kind: 'file', sizeBytes: 1000, inode: '5', mtimeNs: '6' } };
const digested: ContentSpec = { ...file, identity: { kind: 'file', sizeBytes: 1000, inode: '5', mtimeNs: '6', digest } };
const seal = (spec: ContentSpec): ContentSpec => ({ ...spec, manifest: { digest } });

const auto: ShareRule = { peers: 'strong' };

t.test('the guard is the best that there is; without one nothing is shared', async (t) => {
  const guards = (share: ShareRule['share'], peers: ShareRule['peers'] = 'strong') =>
    [strong, weak, nbd, file, digested, seal(weak), seal(nbd)].map((spec) => {
      const { id, guard } = clusterIdOf(spec, { share, peers });
      return `${guard}${id === undefined ? '' : ' shared'}`;
    });
  t.same(guards(undefined), ['etag shared', 'none', 'none', 'none', 'digest shared', 'manifest shared', 'manifest shared']);
  t.same(guards('auto'), guards(undefined));
  t.same(guards('trust'), [
    'etag shared',
    'trust shared',
    'trust shared',
    'trust shared',
    'digest shared',
    'manifest shared',
    'manifest shared',
  ]);
  t.same(guards('never'), ['etag', 'none', 'none', 'none', 'digest', 'manifest', 'manifest']);
  t.same(guards('trust', 'verified-only'), ['etag', 'trust', 'trust', 'trust', 'digest', 'manifest shared', 'manifest shared']);
});

t.test('an id is the same wherever the same bytes are, and different for other bytes and other chunks', async (t) => {
  const idOf = (spec: ContentSpec, share?: ShareRule['share']) => clusterIdOf(spec, { ...auto, share }).id;
  t.match(idOf(strong), /^[0-9a-f]{32}$/);
  t.equal(idOf(strong), contentId(strong));
  // A sealed image: whatever its origins are.
  t.equal(idOf(seal(strong)), idOf(seal(nbd)));
  t.not(idOf(seal(strong)), idOf({ ...strong, manifest: { digest: `blake3:${'8'.repeat(64)}` } }));
  t.equal(idOf(seal(strong)), idOf({ ...strong, manifest: { digest, url: '/srv/m' } }));
  // A file that each host copied for itself.
  const copy: ContentSpec = {
    ...digested,
    url: '/mnt/b.raw',
    identity: { kind: 'file', sizeBytes: 1000, inode: '99', mtimeNs: '98', digest },
  };
  t.equal(idOf(digested), idOf(copy));
  t.not(idOf(digested), idOf({ ...digested, chunkSizeBytes: 65_536 }));
  t.not(
    idOf(digested),
    idOf({ ...digested, identity: { kind: 'file', sizeBytes: 1000, inode: '5', mtimeNs: '6', digest: `blake3:${'8'.repeat(64)}` } }),
  );
  // Trusted files: another inode is a copy, another time another version.
  t.equal(idOf(file, 'trust'), idOf({ ...file, identity: { kind: 'file', sizeBytes: 1000, inode: '99', mtimeNs: '6' } }, 'trust'));
  t.not(idOf(file, 'trust'), idOf({ ...file, identity: { kind: 'file', sizeBytes: 1000, inode: '5', mtimeNs: '7' } }, 'trust'));
  const ids = [idOf(strong), idOf(seal(strong)), idOf(digested), idOf(weak, 'trust'), idOf(nbd, 'trust'), idOf(file, 'trust')];
  t.equal(new Set(ids).size, ids.length);
});

t.test('of a foreign format the container is shared', async (t) => {
  const qcow2: ContentSpec = { ...strong, format: 'qcow2', sizeBytes: 5000, backing: { 'b.raw': nbd } };
  t.equal(clusterIdOf(qcow2, auto).id, contentId(containerSpec(qcow2)));
  t.equal(clusterIdOf(seal(qcow2), auto).id, clusterIdOf(seal(strong), auto).id);
});
