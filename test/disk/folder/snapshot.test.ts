/** Snapshots by copy and by reflink: what they keep, what they cost, and what is left of those that fail. */
import { closeSync, openSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { silentLogger } from '../../../src/base/log.js';
import { blockBytes } from '../../../src/base/native/overlay.js';
import { MiB } from '../../../src/base/size.js';
import { type CopyProgress, DiskFolder } from '../../../src/disk/folder/folder.js';
import { sparseCopy } from '../../../src/disk/folder/sparse-copy.js';
import { reflinkDisk, smallDisk } from './mount.js';
import { contentOf, filesIn, keptLog, owned, sampleBytes, sampleRecord, writeBlocks } from './sample.js';

const copied = { mayCopy: true };

async function sample(dir: string, sizeBytes?: number): Promise<DiskFolder> {
  const folder = await DiskFolder.create(dir, sampleRecord(sizeBytes), owned);
  await writeBlocks(folder, 0, 4, 1);
  return folder;
}

/** What every file system must do. */
async function goThere(t: Test, folder: DiskFolder, mayCopy: boolean): Promise<void> {
  const first = await contentOf(folder);
  await folder.snapshot('before', { mayCopy });
  await writeBlocks(folder, 2, 600 - 2, 2);
  const second = await contentOf(folder);
  await folder.snapshot('after', { mayCopy });
  await folder.resize(sampleBytes + 600 * blockBytes);
  await writeBlocks(folder, 1100, 1, 3);
  const third = await contentOf(folder);
  await folder.snapshot('large', { mayCopy });

  for (const [name, content] of [
    ['before', first],
    ['large', third],
    ['after', second],
    ['before', first],
  ] as const) {
    await folder.revert(name);
    t.equal(await contentOf(folder), content, name);
    t.equal(await contentOf(new DiskFolder(folder.path, silentLogger)), content, `${name}, after a restart`);
    t.equal(filesIn(folder.path).filter((file) => /^(map|overlay)/.test(file)).length, 2, 'what was before is gone');
  }
  await writeBlocks(folder, 0, 600, 4);
  await folder.revert('before');
  t.equal(await contentOf(folder), first, 'a snapshot does not change with the disk that was made of it');

  const again = new DiskFolder(folder.path, silentLogger);
  t.match(again.snapshots(), [
    { name: 'before', sizeBytes: sampleBytes },
    { name: 'after', sizeBytes: sampleBytes },
    { name: 'large', sizeBytes: sampleBytes + 600 * blockBytes },
  ]);
  t.ok((again.snapshots()[1]?.dataBytes ?? 0) >= sampleBytes);
  await again.removeSnapshot('after');
  t.same(
    new DiskFolder(folder.path, silentLogger).snapshots().map(({ name }) => name),
    ['before', 'large'],
  );
  t.same(
    filesIn(join(folder.path, 'snapshot')).filter((file) => file.startsWith('after')),
    [],
  );
  t.equal(await contentOf(again), first);
}

t.test('by copy', async (t) => {
  const disk = await smallDisk(t, 32 * MiB);
  if ('skip' in disk) return void t.plan(0, disk.skip);
  const folder = await sample(disk.path);
  await t.rejects(folder.snapshot('no', { mayCopy: false }), { code: 'ERR_DISK_IN_USE' });
  t.same(filesIn(join(folder.path, 'snapshot')), []);
  await goThere(t, folder, true);
});

for (const kind of ['xfs', 'btrfs'] as const) {
  t.test(`by reflink on ${kind}`, async (t) => {
    const disk = await reflinkDisk(t, kind);
    if ('skip' in disk) return void t.plan(0, disk.skip);
    await goThere(t, await sample(disk.path), false);
  });
}

t.test('names', async (t) => {
  const folder = await sample(t.testdir());
  for (const name of ['', '.', '..', '.a', '-a', 'a/b', 'a b', 'é', 'a'.repeat(65)])
    await t.rejects(folder.snapshot(name, copied), { code: 'ERR_NAME' }, name);
  for (const name of ['a', 'a.data', 'a.json', 'A_b-1.2', '0'.repeat(64)]) await folder.snapshot(name, copied);
  t.equal(new DiskFolder(folder.path, silentLogger).snapshots().length, 5);
  await t.rejects(folder.snapshot('a', copied), { code: 'ERR_SNAPSHOT_EXISTS' });
  const twice = await Promise.allSettled([folder.snapshot('b', copied), folder.snapshot('b', copied)]);
  t.match(twice, [{ status: 'fulfilled' }, { status: 'rejected', reason: { code: 'ERR_SNAPSHOT_EXISTS' } }]);
  for (const name of ['none', '..', '../disk']) {
    await t.rejects(folder.revert(name), { code: 'ERR_NO_SUCH_SNAPSHOT' });
    await t.rejects(folder.removeSnapshot(name), { code: 'ERR_NO_SUCH_SNAPSHOT' });
  }
});

t.test('a snapshot whose record is broken is told of, left alone, and can be removed', async (t) => {
  const folder = await sample(t.testdir());
  await folder.snapshot('good', copied);
  await folder.snapshot('rotten', copied);
  await folder.snapshot('hollow', copied);
  writeFileSync(join(folder.path, 'snapshot', 'rotten.json'), '{');
  rmSync(join(folder.path, 'snapshot', 'hollow.data'));
  const { log, lines } = keptLog();
  const again = new DiskFolder(folder.path, log);
  t.same(
    again.snapshots().map(({ name }) => name),
    ['good'],
  );
  t.same(lines.map(({ fields }) => String(fields['snapshot']).slice(folder.path.length)).sort(), [
    '/snapshot/hollow.json',
    '/snapshot/rotten.json',
  ]);
  await t.rejects(again.snapshot('rotten', copied), { code: 'ERR_SNAPSHOT_EXISTS' });
  await t.rejects(again.revert('rotten'), { code: 'ERR_NO_SUCH_SNAPSHOT' });
  await again.removeSnapshot('rotten');
  await again.removeSnapshot('hollow');
  t.same(filesIn(join(folder.path, 'snapshot')), ['good.data', 'good.json', 'good.map']);
});

t.test('a sparse copy keeps holes and tells how far it is', async (t) => {
  const dir = t.testdir();
  const [from, to] = [join(dir, 'from'), join(dir, 'to')];
  const descriptor = openSync(from, 'w');
  const piece = Buffer.alloc(3 * MiB + 4096, 0xab);
  for (const offset of [0, 20 * MiB, 40 * MiB]) writeSync(descriptor, piece, 0, piece.length, offset);
  const seen: CopyProgress[] = [];
  await sparseCopy(from, to, { onProgress: (progress) => seen.push(progress) });
  t.equal(statSync(to).size, statSync(from).size);
  t.ok(statSync(to).blocks <= statSync(from).blocks + 64, `${statSync(to).blocks} blocks`);
  t.ok(readFileSync(to).equals(readFileSync(from)));
  t.same(seen.at(-1), { doneBytes: 3 * piece.length, totalBytes: 3 * piece.length });
  t.same(
    seen.map(({ doneBytes }) => doneBytes),
    seen.map(({ doneBytes }) => doneBytes).sort((left, right) => left - right),
  );
  t.equal(seen.length, 12);
  await t.rejects(sparseCopy(from, to), { code: 'EEXIST' });
  t.ok(statSync(to).size > 0, 'what is there already stays');
});

t.test('a copy of nothing but a hole', async (t) => {
  const dir = t.testdir({ from: '' });
  t.same(await sparseCopy(join(dir, 'from'), join(dir, 'to')), { doneBytes: 0, totalBytes: 0 });
  t.equal(statSync(join(dir, 'to')).size, 0);
});

t.test('one that is given up leaves nothing', async (t) => {
  const disk = await smallDisk(t, 64 * MiB);
  if ('skip' in disk) return void t.plan(0, disk.skip);
  const folder = await DiskFolder.create(disk.path, sampleRecord(4 * MiB), owned);
  await writeBlocks(folder, 0, 1024, 1);
  await folder.snapshot('kept', copied);
  await writeBlocks(folder, 0, 1024, 2);
  const [content, files] = [await contentOf(folder), filesIn(folder.path)];
  const end = new AbortController();
  const onProgress = (): void => end.abort();
  await t.rejects(folder.snapshot('a', { ...copied, signal: end.signal, onProgress }), { code: 'ERR_ABORTED' });
  await t.rejects(folder.revert('kept', { signal: end.signal }), { code: 'ERR_ABORTED' });
  t.same(filesIn(folder.path), files);
  t.equal(await contentOf(folder), content);
});

t.test('a disk that is too full, or becomes so, leaves nothing', async (t) => {
  const disk = await smallDisk(t, 20 * MiB);
  if ('skip' in disk) return void t.plan(0, disk.skip);
  const folder = await DiskFolder.create(disk.path, sampleRecord(4 * MiB), owned);
  await writeBlocks(folder, 0, 1024, 1);
  await folder.snapshot('kept', copied);
  await writeBlocks(folder, 0, 1024, 2);
  const [content, files, state] = [await contentOf(folder), filesIn(folder.path), folder.state];
  const filler = join(disk.path, 'filler');
  const fill = (): void => {
    const descriptor = openSync(filler, 'a');
    t.throws(
      () => {
        for (;;) writeSync(descriptor, Buffer.alloc(4096));
      },
      { code: 'ENOSPC' },
    );
    closeSync(descriptor);
  };
  const check = async (what: string): Promise<void> => {
    t.same(filesIn(folder.path), files, what);
    t.equal(await contentOf(folder), content, what);
    t.same(folder.state, state, what);
    rmSync(filler, { force: true });
  };
  await t.rejects(folder.snapshot('a', { ...copied, onProgress: fill }), { code: 'ENOSPC' });
  await check('a snapshot, on the way');
  await t.rejects(folder.revert('kept', { onProgress: fill }), { code: 'ENOSPC' });
  await check('a revert, on the way');
  fill();
  await t.rejects(folder.snapshot('a', copied), { code: 'ENOSPC' });
  await t.rejects(folder.revert('kept'), { code: 'ENOSPC' });
  await t.rejects(folder.writeMap(2, new Uint8Array(1024).fill(2)), { code: 'ENOSPC' });
  t.throws(() => folder.setState({ ...folder.state, epoch: 2 }), { code: 'ENOSPC' });
  await t.rejects(DiskFolder.create(disk.path, sampleRecord(), owned), { code: 'ENOSPC' });
  t.same(DiskFolder.list(disk.path, silentLogger).length, 1, 'a start on a full disk');
  await check('all of them');
  t.same(filesIn(disk.path).length, files.length, 'a disk that could not be made leaves nothing');
  await folder.snapshot('a', copied);
  folder.setState({ ...folder.state, epoch: 2 });
  t.equal(new DiskFolder(folder.path, silentLogger).state.epoch, 2, 'with room it goes on');
});
