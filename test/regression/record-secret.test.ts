/**
 * A node sent its image records to whoever asked its port for peers, with the passwords and signatures of their URLs, and also those of
 * images that are not shared. And the node that asked took the peer's URLs for its own.
 */
import t from 'tap';
import { fetchRecord } from '../../src/peer/client/record-fetcher.js';
import { addressesOf, startNode } from '../daemon/clustered-node.js';
import { content } from '../daemon/node.js';
import { scriptedServer } from '../origin/http-server.js';

const sizeBytes = 1024 * 1024;
const bytes = content(sizeBytes, 5);

t.test('records leave without secrets, and what is not shared does not leave', async (t) => {
  const server = await scriptedServer(bytes);
  t.teardown(() => server.close());
  const secret = `${server.url.replace('://', '://me:hush@')}?X-Signature=hush`;
  const addresses = await addressesOf(1);
  const node = await startNode(t, addresses, 0, [
    { name: 'open', url: secret },
    { name: 'closed', url: secret, share: 'never' },
  ]);
  const [address = ''] = addresses;
  const record = await fetchRecord(address, 'open');
  t.notMatch(JSON.stringify(record), /hush/);
  t.equal(record.content.url, `${server.url}?…`);
  await t.rejects(fetchRecord(address, 'closed'));
  t.notMatch(JSON.stringify(await node.admin.images.list()), /hush/);
  t.notMatch(await node.admin.node.metrics(), /hush/);
});

t.test('a node takes what a peer pinned under its own URL, and only where the peer serves that content', async (t) => {
  const server = await scriptedServer(bytes);
  const url = `${server.url.replace('://', '://me:hush@')}?file=a`;
  const addresses = await addressesOf(2);
  const first = await startNode(t, addresses, 0, [{ name: 'image', url }]);
  t.ok((await first.readAll('image', sizeBytes)).equals(bytes));
  await server.close();
  const second = await startNode(t, addresses, 1, []);
  const other = url.replace('file=a', 'file=b');
  await t.rejects(
    second.admin.images.add({ name: 'image', url: other }),
    { code: 'ERR_ORIGIN_UNAVAILABLE' },
    'the same URL but for its query may be another file',
  );
  const adopted = await second.admin.images.add({ name: 'image', url });
  t.same(adopted.identity, (await first.admin.images.status('image')).identity);
  t.ok((await second.readAll('image', sizeBytes)).equals(bytes), 'by the chunks of the first node');
  await second.admin.images.add({ name: 'image', url });
});
