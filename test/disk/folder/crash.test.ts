/** A crash at each step of each operation: the next start finds the disk as before or as after, and nothing that is neither. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { silentLogger } from '../../../src/base/log.js';
import { blockBytes } from '../../../src/base/native/overlay.js';
import { DiskFolder } from '../../../src/disk/folder/folder.js';
import { reflinkDisk } from './mount.js';
import { contentOf, filesIn, keptLog, owned, sampleRecord, writeBlocks } from './sample.js';
import { type Recording, record, withoutDirectorySync } from './steps.js';

/** All that a start makes of a directory: disks with state, content, snapshots, and every file. */
async function found(dir: string): Promise<string> {
  const { log, lines } = keptLog();
  const disks: unknown[] = [];
  for (const folder of DiskFolder.list(dir, log)) {
    const { map: _map, ...state } = folder.state;
    disks.push([folder.record, state, await contentOf(folder), folder.snapshots().map(({ name, sizeBytes }) => [name, sizeBytes])]);
  }
  // Names of maps and data files differ by how often something was tried; how many there are does not.
  const files = filesIn(dir).map((file) => file.replace(/map-\d+(-\d+)?$/, 'map').replace(/overlay(-\d+)?\.data$/, 'data'));
  return JSON.stringify([disks, files, lines], undefined, 1);
}

/** Runs the operation on a disk that `prepare` made, and starts after a crash at each of its steps. */
async function crashEverywhere(
  t: Test,
  place: string,
  prepare: (dir: string) => Promise<DiskFolder | undefined>,
  operate: (folder: DiskFolder | undefined, dir: string) => Promise<unknown>,
): Promise<Recording> {
  const [dir, crashes] = [join(place, 'disk'), join(place, 'crashes')];
  mkdirSync(dir, { recursive: true });
  mkdirSync(crashes);
  const folder = await prepare(dir);
  const recording = await record(dir, crashes, () => operate(folder, dir));
  const [first] = recording.crashes;
  if (first === undefined) throw new Error('nothing was recorded');
  const [before, after] = [await found(first), await found(dir)];
  t.not(before, after, 'it changes something');
  const outcomes: string[] = [];
  for (const crash of recording.crashes) {
    const outcome = await found(crash);
    outcomes.push(outcome);
    if (outcome !== before && outcome !== after) t.equal(outcome, before, `neither as before nor as after: ${crash}`);
    const again = await found(crash);
    if (again !== outcome) t.equal(again, outcome, 'a second start finds the same');
  }
  t.ok(outcomes.includes(before), `as before after some of ${outcomes.length} steps`);
  t.ok(outcomes.includes(after), 'as after after others');
  t.ok(outcomes.lastIndexOf(before) < outcomes.indexOf(after), 'there is one step that does it');
  return recording;
}

/** Each step copies it. */
const smallBytes = 16 * blockBytes;

async function sample(dir: string): Promise<DiskFolder> {
  const folder = await DiskFolder.create(dir, sampleRecord(smallBytes), owned);
  await writeBlocks(folder, 0, 8, 1);
  return folder;
}

async function withSnapshot(dir: string): Promise<DiskFolder> {
  const folder = await sample(dir);
  await folder.snapshot('old', { mayCopy: true });
  await folder.resize(2 * smallBytes);
  await writeBlocks(folder, 6, 20, 2);
  return folder;
}

/** Each of the second comes after all of the first. */
function inOrder(t: Test, { order }: Recording, first: RegExp[], second: RegExp): void {
  const at = order.findIndex((entry) => second.test(entry));
  t.not(at, -1, `${second} in ${order.join(', ')}`);
  for (const pattern of first) {
    const done = order.findIndex((entry) => pattern.test(entry));
    t.ok(done >= 0 && done < at, `${pattern} before ${second} in ${order.join(', ')}`);
  }
}

t.test('create', async (t) => {
  const prepare = async (): Promise<undefined> => undefined;
  const recorded = await crashEverywhere(t, t.testdir(), prepare, (_folder, dir) =>
    DiskFolder.create(dir, sampleRecord(smallBytes), owned),
  );
  inOrder(t, recorded, [/^sync disk.json/, /^sync owner.json/, /^sync map-1/, /^sync overlay.data/, /^sync .*\.new$/], /^rename/);
  t.equal(recorded.order.at(-1), 'sync disk', 'its name is durable in the end');
});

t.test('create with states', async (t) => {
  const states = new Uint8Array(smallBytes / blockBytes).fill(2);
  const prepare = async (): Promise<undefined> => undefined;
  await crashEverywhere(t, t.testdir(), prepare, (_folder, dir) => DiskFolder.create(dir, sampleRecord(smallBytes), owned, { states }));
});

t.test('a new map and owner', async (t) => {
  const recorded = await crashEverywhere(t, t.testdir(), sample, async (folder) => {
    const map = await folder?.writeMap(2, new Uint8Array(smallBytes / blockBytes).fill(2));
    if (folder === undefined || map === undefined) return;
    folder.setState({ ...folder.state, epoch: 2, map });
    folder.removeStaleMaps();
  });
  inOrder(t, recorded, [/^sync map-2/, /^sync owner.json.new/], /^rename owner.json.new/);
  inOrder(t, recorded, [/^rename owner.json.new/], /^remove map-1/);
});

t.test('resize', async (t) => {
  await crashEverywhere(t, t.testdir(), sample, async (folder) => folder?.resize(3 * smallBytes));
});

t.test('remove', async (t) => {
  const recorded = await crashEverywhere(t, t.testdir(), withSnapshot, async (folder) => folder?.remove());
  t.match(recorded.order.slice(-3), [/^rename .*\.gone$/, 'sync disk', /^remove .*\.gone$/]);
});

t.test('remove a snapshot', async (t) => {
  const recorded = await crashEverywhere(t, t.testdir(), withSnapshot, async (folder) => folder?.removeSnapshot('old'));
  inOrder(t, recorded, [/^remove old.json/, /^sync snapshot/], /^remove old.data/);
});

async function snapshotAndRevert(t: Test, place: string): Promise<void> {
  const taken = await crashEverywhere(t, join(place, 'take'), withSnapshot, async (folder) => folder?.snapshot('new', { mayCopy: true }));
  inOrder(t, taken, [/^sync new.data/, /^sync new.map/, /^sync snapshot/, /^sync new.json.new/], /^rename new.json.new/);
  t.equal(taken.order.at(-1), 'sync snapshot');
  const reverted = await crashEverywhere(t, join(place, 'revert'), withSnapshot, async (folder) => folder?.revert('old'));
  inOrder(t, reverted, [/^sync overlay-1.data/, /^sync map-1-1/, /^sync owner.json.new/], /^rename owner.json.new/);
  inOrder(t, reverted, [/^rename owner.json.new/], /^remove overlay.data/);
}

t.test('snapshot and revert by copy', async (t) => snapshotAndRevert(t, t.testdir()));

t.test('snapshot and revert by reflink', async (t) => {
  const disk = await reflinkDisk(t, 'xfs');
  if ('skip' in disk) return void t.plan(0, disk.skip);
  await snapshotAndRevert(t, disk.path);
});

t.test('a switch that can not be made durable is taken back', async (t) => {
  const folder = await sample(t.testdir());
  const before = folder.state;
  const next = { ...before, epoch: 2 };
  t.throws(() => withoutDirectorySync(1, () => folder.setState(next)), { code: 'EIO' });
  t.same([folder.state, new DiskFolder(folder.path, silentLogger).state], [before, before]);
  folder.setState(next);
  t.equal(folder.state.epoch, 2, 'and can be made later');
});

t.test('one that can neither be made nor taken back ends all changes', async (t) => {
  const folder = await sample(t.testdir());
  const { state } = folder;
  t.throws(() => withoutDirectorySync(2, () => folder.setState({ ...state, epoch: 2 })), { code: 'ERR_DISK_BROKEN' });
  t.throws(() => folder.setState(state), { code: 'ERR_DISK_BROKEN' });
  await t.rejects(folder.resize(2 * smallBytes), { code: 'ERR_DISK_BROKEN' });
});
