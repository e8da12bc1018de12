/** The status of an image left out the digest of its file, which a node of a cluster takes when it pins the image. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { digestOf } from '../../src/base/digest.js';
import { addressesOf, startNode } from '../daemon/clustered-node.js';
import { content } from '../daemon/node.js';

const bytes = content(1024 * 1024, 7);

t.test('status and list have the digest of the file', async (t) => {
  const path = join(t.testdir(), 'image.raw');
  await writeFile(path, bytes);
  const { admin } = await startNode(t, await addressesOf(1), 0, [{ name: 'image', url: path }]);
  const { identity } = await admin.images.status('image');
  t.match(identity, { kind: 'file', digest: digestOf(bytes) });
  t.same(
    (await admin.images.list()).map((image) => image.identity),
    [identity],
  );
});
