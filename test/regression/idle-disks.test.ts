/**
 * Each disk kept four descriptors open for life: 2000 idle disks held 8022.
 *
 * COPSE_TEST_DISKS sets the number of disks (500 unless given; 2000 may hold 200 descriptors).
 */
import { readdirSync, readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { native } from '../../src/base/native/loader.js';
import type { NativeOverlayFile } from '../../src/base/native/overlay.js';
import { Daemon } from '../fault/daemon.js';
import { shortDir } from '../support/short-dir.js';
import { diskName, writeDisks } from './many-exports.js';

const diskCount = Number(process.env['COPSE_TEST_DISKS'] ?? 500);
const maxDescriptors = 200;
const block = Buffer.alloc(4096, 3);

t.test('idle disks hold no descriptors, and keep what was written', async (t) => {
  const folder = shortDir(t);
  const state = join(folder, 'state');
  writeDisks(state, diskCount);
  const daemon = await Daemon.start(t, { images: {}, state });
  const descriptorCount = (): number => readdirSync(`/proc/${daemon.pid}/fd`).length;
  const idleCount = descriptorCount();
  t.ok(idleCount <= maxDescriptors, `${idleCount} descriptors for ${diskCount} idle disks`);
  t.equal((JSON.parse((await daemon.api('GET', '/v1/disks')).body) as unknown[]).length, diskCount);
  t.ok(descriptorCount() <= idleCount + 8, 'a look at all disks opens none');
  const session = await daemon.attach(diskName(7));
  t.equal((await session.write(8192, block)).error, 0);
  t.equal((await session.read(8192, 4096)).data.compare(block), 0);
  t.ok(descriptorCount() > idleCount, 'one that is used is open');
  await daemon.kill();
  await daemon.start();
  const again = await daemon.attach(diskName(7));
  t.equal((await again.read(8192, 4096)).data.compare(block), 0, 'also what was not flushed outlives the process');
});

const recordsOffset = 4096;

function overlayIn(t: Test): { overlay: NativeOverlayFile; dataPath: string; mapPath: string } {
  const folder = t.testdir({});
  const [dataPath, mapPath] = [join(folder, 'data'), join(folder, 'map')];
  const overlay = native.openOverlayFile({ dataPath, mapPath, sizeBytes: 1 << 20, recordsOffset, recordSeed: 5 });
  t.after(() => overlay.close());
  return { overlay, dataPath, mapPath };
}

t.test('an overlay is closed when nothing is to be flushed and nobody used it, and opened by whoever needs it', async (t) => {
  const { overlay, dataPath, mapPath } = overlayIn(t);
  t.equal(overlay.park(), true);
  t.equal(overlay.isOpen, false);
  await overlay.write(block, 0, block.length, 0, undefined);
  t.equal(overlay.isOpen, true);
  t.equal(overlay.park(), false, 'used since the last look');
  t.equal(overlay.park(), false, 'something is to be flushed');
  const flushing = overlay.flush();
  t.equal(overlay.park(), false);
  await flushing;
  t.equal(overlay.park(), true);
  t.equal(overlay.dataBytes, 4096);
  t.ok(overlay.allocatedBytes() >= 4096);
  t.equal(overlay.isOpen, false, 'neither needs the files');
  const target = Buffer.alloc(4096);
  t.equal(await overlay.read(target, 0, 4096, 0), true);
  t.ok(target.equals(block));
  overlay.park();
  t.equal(overlay.park(), true);
  const again = () => native.openOverlayFile({ dataPath, mapPath, sizeBytes: 1 << 20, recordsOffset, recordSeed: 5 });
  t.throws(again, { code: /EAGAIN|EWOULDBLOCK/ }, "it is nobody else's while its files are closed");
  await overlay.trim(0, 4096);
  t.throws(again, { code: /EAGAIN|EWOULDBLOCK/ });
  t.same([...overlay.runs(0, 1 << 20, 5)], [2, 0, 4096, 0, 0, (1 << 20) - 4096]);
});

t.test('files that were cut or exchanged meanwhile are not opened', async (t) => {
  const { overlay, dataPath } = overlayIn(t);
  await overlay.write(block, 0, block.length, 0, undefined);
  await overlay.flush();
  overlay.park();
  t.equal(overlay.park(), true);
  const whole = readFileSync(dataPath);
  const refused = async (what: string): Promise<void> => {
    const target = Buffer.alloc(4096);
    await t.rejects(overlay.read(target, 0, 4096, 0), { code: 'ESTALE' }, what);
    await t.rejects(overlay.write(block, 0, block.length, 0, undefined), { code: 'ESTALE' }, what);
    await t.rejects(overlay.flush(), { code: 'ESTALE' }, what);
  };
  truncateSync(dataPath, 4096);
  await refused('cut');
  truncateSync(dataPath, 1 << 20);
  t.equal(await overlay.read(Buffer.alloc(4096), 0, 4096, 0), true, 'as long as it was');
  overlay.park();
  t.equal(overlay.park(), true);
  writeFileSync(`${dataPath}.copy`, whole);
  renameSync(`${dataPath}.copy`, dataPath);
  await refused('exchanged');
});
