/** Rotten maps, full disks, file systems without holes. */
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { native } from '../../src/base/native/loader.js';
import { BlockState, blockBytes, type OverlayFileOptions } from '../../src/base/native/overlay.js';
import { memoryMount } from '../support/memory-mount.js';

const { base, data, zero, remote } = BlockState;
const recordsOffset = 512;

function optionsIn(directory: string, blockCount = 1200): OverlayFileOptions {
  const paths = { dataPath: join(directory, 'data'), mapPath: join(directory, 'map') };
  return { ...paths, sizeBytes: blockCount * blockBytes, recordsOffset, recordSeed: 9 };
}

/** Blocks in all three sectors. */
async function fill(options: OverlayFileOptions): Promise<Uint8Array> {
  const blocks = options.sizeBytes / blockBytes;
  const states = Uint8Array.from({ length: blocks }, (_, block) =>
    block % 9 === 1 ? data : block % 9 === 4 ? zero : block % 9 === 7 ? remote | 16 : base,
  );
  await native.writeOverlayMap({ ...options, header: Buffer.alloc(recordsOffset, 'h') }, states);
  return states;
}

t.test('any flipped bit of the map makes opening fail', async (t) => {
  const options = optionsIn(t.testdir());
  await fill(options);
  const map = readFileSync(options.mapPath);
  t.equal(map.length, recordsOffset + 3 * 512);
  fc.assert(
    fc.property(fc.integer({ min: recordsOffset, max: map.length - 1 }), fc.nat(7), (at, bit) => {
      const rotten = Buffer.from(map);
      rotten[at] = (rotten[at] ?? 0) ^ (1 << bit);
      writeFileSync(options.mapPath, rotten);
      t.throws(() => native.openOverlayFile(options), { code: 'EBADMSG', path: options.mapPath });
    }),
  );
  writeFileSync(options.mapPath, map);
  await native.openOverlayFile(options).close();
});

t.test('sectors of another place, of another disk, and cut ones are rotten; missing ones are base', async (t) => {
  const options = optionsIn(t.testdir());
  const states = await fill(options);
  const map = readFileSync(options.mapPath);
  t.throws(() => native.openOverlayFile({ ...options, recordSeed: 10 }), { code: 'EBADMSG' });
  const moved = Buffer.from(map);
  map.copy(moved, recordsOffset, recordsOffset + 512, recordsOffset + 1024);
  writeFileSync(options.mapPath, moved);
  t.throws(() => native.openOverlayFile(options), { code: 'EBADMSG' });
  writeFileSync(options.mapPath, map);
  truncateSync(options.mapPath, recordsOffset + 1000);
  t.throws(() => native.openOverlayFile(options), { code: 'EBADMSG' });
  writeFileSync(options.mapPath, map);
  truncateSync(options.mapPath, recordsOffset + 512);
  const file = native.openOverlayFile(options);
  const copy = new Uint8Array(states.length);
  file.copyMap(copy, 0, 0, copy.length, false);
  t.same(
    copy,
    states.map((byte, block) => (block < 508 ? byte : base)),
  );
  await file.close();
});

t.test('a full disk fails what needs space, and loses nothing', async (t) => {
  const directory = memoryMount(t, 'tmpfs', 'size=1m');
  if (directory === undefined) return;
  const options = optionsIn(directory, 600);
  const file = native.openOverlayFile(options);
  const whole = (block: number): Buffer => Buffer.alloc(blockBytes, (block % 255) | 1);
  const write = (block: number): Promise<boolean> => file.write(whole(block), 0, blockBytes, block * blockBytes, undefined);
  let full = 0;
  await t.rejects(
    (async () => {
      for (; full < 600; full += 1) await write(full);
    })(),
    { code: 'ENOSPC' },
  );
  t.ok(full > 200, `full at ${full}`);
  t.same([file.dataBytes, file.zeroBytes], [full * blockBytes, 0], 'the block that failed is what it was');
  await t.rejects(file.write(Buffer.alloc(10), 0, 10, full * blockBytes, Buffer.alloc(blockBytes)), { code: 'ENOSPC' });
  await t.rejects(file.zero(full * blockBytes, 20 * blockBytes, { allocate: true }, undefined), { code: 'ENOSPC' });
  t.same([...file.runs(0, options.sizeBytes, 5)], [data, 0, full * blockBytes, base, 0, options.sizeBytes - full * blockBytes]);
  await file.flush();
  t.equal(file.dirty, false, 'a flush needs no space');
  await write(5);
  await file.trim(0, 2 * blockBytes);
  const fill = async (): Promise<number> => {
    const before = full;
    while (await write(full).then(Boolean, () => false)) full += 1;
    return full - before;
  };
  t.ok((await fill()) <= 2, 'the log gives way, and what was trimmed comes back with a flush');
  while (file.dirty) await file.flush();
  t.ok((await fill()) >= 1);
  await t.rejects(write(full), { code: 'ENOSPC' });
  await file.flush();
  await file.close();
  const again = native.openOverlayFile(options);
  const target = Buffer.alloc(blockBytes);
  for (let block = 0; block < full; block += 1) {
    await again.read(target, 0, blockBytes, block * blockBytes);
    if (!target.equals(block < 2 ? Buffer.alloc(blockBytes) : whole(block))) throw new Error(`block ${block} was lost`);
  }
  await again.close();
});

t.test('what a failed write left behind takes no space', async (t) => {
  const directory = memoryMount(t, 'tmpfs', 'size=1m');
  if (directory === undefined) return;
  const options = optionsIn(directory, 600);
  const states = Uint8Array.from({ length: 600 }, (_, block) => (block < 300 ? remote : base));
  await native.writeOverlayMap({ ...options, header: Buffer.alloc(0) }, states);
  const file = native.openOverlayFile(options);
  await file.trim(500 * blockBytes, blockBytes);
  const large = Buffer.alloc(600 * blockBytes, 3);
  const before = file.allocatedBytes();
  await t.rejects(file.write(large, 0, large.length, 0, undefined), { code: 'ENOSPC' });
  t.equal(file.allocatedBytes(), before);
  await t.rejects(file.fill(large, 0, 300 * blockBytes, 0), { code: 'ENOSPC' });
  t.equal(file.allocatedBytes(), before);
  t.same([file.dataBytes, file.zeroBytes, file.remoteBytes], [0, blockBytes, 300 * blockBytes]);
  t.equal(await file.fill(large, 0, 10 * blockBytes, 0), 10 * blockBytes, 'less of it has room');
  // Zeros that a failed write ran into are given back with the next flush: the map on the disk may still say that they are data.
  await file.trim(0, 300 * blockBytes);
  await t.rejects(file.write(large, 0, 500 * blockBytes, 0, undefined), { code: 'ENOSPC' });
  while (file.dirty) await file.flush();
  t.equal(file.allocatedBytes(), before);
  await file.close();
});

t.test('the map’s space is there before the first block changes', async (t) => {
  const directory = memoryMount(t, 'tmpfs', 'size=1m');
  if (directory === undefined) return;
  // 8 sectors a page: the second page of the map is for blocks from 3556 on.
  const options = optionsIn(directory, 8000);
  const file = native.openOverlayFile(options);
  await file.write(Buffer.alloc(blockBytes, 1), 0, blockBytes, 0, undefined);
  const pagesOf = (path: string): number => statSync(path).blocks / 8;
  // The log of so many changes takes one page more.
  const pages = (1 << 20) / blockBytes - pagesOf(options.dataPath) - pagesOf(options.mapPath) - pagesOf(`${options.mapPath}.log0`) - 1;
  for (let block = 1; block <= pages; block += 1)
    await file.write(Buffer.alloc(blockBytes, 1), 0, blockBytes, block * blockBytes, undefined);
  await t.rejects(file.trim(4000 * blockBytes, blockBytes), { code: 'ENOSPC' }, 'there is none for its page of the map');
  t.equal(file.zeroBytes, 0);
  await file.trim(blockBytes, blockBytes);
  while (file.dirty) await file.flush();
  await file.trim(4000 * blockBytes, blockBytes);
  await file.flush();
  t.equal(file.zeroBytes, 2 * blockBytes);
  await file.close();
});

t.test('a map that has no room leaves no file', async (t) => {
  const directory = memoryMount(t, 'tmpfs', 'size=128k');
  if (directory === undefined) return;
  const options = optionsIn(directory);
  const states = new Uint8Array(508 * 512).fill(zero);
  await t.rejects(native.writeOverlayMap({ ...options, header: Buffer.alloc(0) }, states), { code: 'ENOSPC' });
  t.throws(() => statSync(options.mapPath), { code: 'ENOENT' });
});

t.test('a file system without holes keeps the space, and all else works', async (t) => {
  const directory = memoryMount(t, 'ramfs', 'mode=700');
  if (directory === undefined) return;
  const options = optionsIn(directory);
  const file = native.openOverlayFile(options);
  await file.write(Buffer.alloc(4 * blockBytes, 7), 0, 4 * blockBytes, 0, undefined);
  await file.flush();
  await file.trim(blockBytes, 2 * blockBytes);
  await file.zero(100, 200, { allocate: true }, undefined);
  await file.zero(3 * blockBytes, blockBytes, { allocate: true }, undefined);
  await file.flush();
  t.equal(file.dirty, false);
  await file.close();
  const again = native.openOverlayFile(options);
  const target = Buffer.alloc(4 * blockBytes);
  t.equal(await again.read(target, 0, target.length, 0), true);
  t.ok(target.equals(Buffer.alloc(target.length).fill(7, 0, 100).fill(7, 300, blockBytes)));
  await again.close();
});

t.test('a map that a flush can not write leaves everything dirty', async (t) => {
  const directory = memoryMount(t, 'tmpfs', 'size=4m');
  if (directory === undefined) return;
  const options = optionsIn(directory);
  // Where no more than so many bytes of a file may be written: with a limit on the size of files, in a process of its own.
  const script = `
    import { createRequire } from 'node:module';
    const { native } = await import(${JSON.stringify(new URL('../../src/base/native/loader.js', import.meta.url).href)});
    process.on('SIGXFSZ', () => {});
    const file = native.openOverlayFile(${JSON.stringify({ ...options, recordsOffset: 8 << 20 })});
    const { execFileSync } = createRequire(import.meta.url)('node:child_process');
    await file.write(Buffer.alloc(4096, 1), 0, 4096, 0, undefined);
    execFileSync('prlimit', ['--fsize=' + (7 << 20) + ':', '--pid', String(process.pid)]);
    const codes = [];
    await file.flush().catch((error) => codes.push(error.code));
    codes.push(file.dirty);
    execFileSync('prlimit', ['--fsize=unlimited:', '--pid', String(process.pid)]);
    await file.flush();
    codes.push(file.dirty);
    await file.close();
    console.log(JSON.stringify(codes));`;
  const printed = execFileSync(process.execPath, ['--input-type=module', '-e', script], { timeout: 60_000 }).toString();
  t.same(JSON.parse(printed), ['EFBIG', true, false]);
  const again = native.openOverlayFile({ ...options, recordsOffset: 8 << 20 });
  t.equal(again.dataBytes, blockBytes);
  await again.close();
});
