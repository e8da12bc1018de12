/** What peers tell each other, looked at with the tools that everybody has. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { chunkBytes, open } from '../cache/subject.js';
import { pattern } from '../conformance/content.js';
import { missing, run } from '../interop/serving.js';
import { holds } from '../support/wait.js';
import { sharedContent } from './node-statement.js';
import { servePeers, TestContents } from './peer-server.js';

const image = pattern(24 * chunkBytes + 512);
image.fill(0, 3 * chunkBytes, 9 * chunkBytes);

t.test('nbdinfo and nbdcopy read what a node says of itself', { skip: await missing('nbdinfo', '--version') }, async (t) => {
  const contents = new TestContents('b', { usedBytes: 42, contents: Array.from({ length: 300 }, (_, index) => sharedContent(index)) });
  const { address } = await servePeers(t, contents);
  const info = JSON.parse((await run(t, 'nbdinfo', ['--json', `nbd://${address}/node`])).stdout);
  t.match(info.exports[0], { 'export-size': 2 ** 20, is_read_only: true });
  const { stdout } = await run(t, 'nbdcopy', [`nbd://${address}/node`, '-']);
  const [header = '', statement = ''] = stdout.split('\n');
  t.match(JSON.parse(header), { copse: 'node', id: 'b', usedBytes: 42 });
  t.equal(JSON.parse(statement).contents.length, 300);
});

t.test(
  'qemu-img and nbdcopy copy an image from its home, and what is held of it',
  { skip: await missing('qemu-img', '--version') },
  async (t) => {
    const folder = t.testdir();
    await writeFile(join(folder, 'image'), image);
    const subject = open(t, { content: image, folder });
    subject.source.answerAll();
    const contents = new TestContents('b');
    const id = contents.share(1, subject.cache);
    const { address } = await servePeers(t, contents);
    const held = `nbd://${address}/held/${id};from=qemu`;
    await run(t, 'nbdcopy', [held, join(folder, 'early')], { exitCode: 1 });
    await run(t, 'qemu-img', ['compare', '-f', 'raw', '-F', 'raw', `nbd://${address}/home/${id}`, join(folder, 'image')]);
    await holds(() => subject.cache.cachedExtents(0, image.length, 1)[0]?.lengthBytes === image.length);
    await run(t, 'nbdcopy', [held, join(folder, 'held')]);
    t.ok((await readFile(join(folder, 'held'))).equals(image));
    t.ok(contents.served.length > 0 && contents.served.every(({ from }) => from === 'qemu'), 'who does not say who it is, is not noted');
    const map = JSON.parse((await run(t, 'nbdinfo', ['--json', '--map=x-copse:cached', held])).stdout) as {
      length: number;
      type: number;
    }[];
    t.ok(map.every(({ type }) => type === 1));
    t.equal(
      map.reduce((sum, { length }) => sum + length, 0),
      image.length,
    );
    const list = JSON.parse((await run(t, 'nbdinfo', ['--json', '--list', `nbd://${address}`])).stdout);
    t.same(
      list.exports.map((shown: Record<string, unknown>) => shown['export-name']),
      ['node', `home/${id}`, `held/${id}`],
    );
    const zeros = JSON.parse((await run(t, 'nbdinfo', ['--json', '--map', held])).stdout) as {
      offset: number;
      length: number;
      type: number;
    }[];
    t.ok(zeros.some(({ offset, length, type }) => type === 3 && offset === 3 * chunkBytes && length === 6 * chunkBytes));
  },
);

t.test('a manifest is its bytes', { skip: await missing('nbdcopy', '--version') }, async (t) => {
  const contents = new TestContents('b');
  const digest = 'ab'.repeat(32);
  contents.manifests.set(digest, pattern(100_001, 3));
  const { address } = await servePeers(t, contents);
  const copy = join(t.testdir(), 'manifest');
  await run(t, 'nbdcopy', [`nbd://${address}/manifest/${digest}`, copy]);
  t.ok((await readFile(copy)).equals(pattern(100_001, 3)));
});

t.test('names that are none are unknown exports', { skip: await missing('nbdinfo', '--version') }, async (t) => {
  const { address } = await servePeers(t, new TestContents('b'));
  for (const name of ['', 'home', 'other', `home/${'0'.repeat(32)}`, `manifest/${'0'.repeat(64)}`]) {
    const { stderr } = await run(t, 'nbdinfo', [`nbd://${address}/${name}`], { exitCode: 1 });
    t.match(stderr, /unknown|not found|No such|has no export|export/i, name);
  }
});
