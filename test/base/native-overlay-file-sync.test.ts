/** Flushes whose syncs take long or fail, in processes where they can be made to. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';

const run = promisify(execFile);
const module = new URL('../../src/base/native/loader.js', import.meta.url).href;
/** In the source tree: tsc copies no C. Seen from dist/test/base. */
const shimSource = fileURLToPath(new URL('../../../test/base/sync-fault.c', import.meta.url));

const begin = `
  import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
  import { setTimeout } from 'node:timers/promises';
  const { native } = await import(${JSON.stringify(module)});
  const options = { dataPath: process.argv[1] + '/data', mapPath: process.argv[1] + '/map', sizeBytes: 4096 * 1200, recordsOffset: 4096, recordSeed: 1 };
  const { dataPath, mapPath } = options;
  let file = native.openOverlayFile(options);
  const write = (block, fill = 1) => file.write(Buffer.alloc(4096, fill), 0, 4096, block * 4096, undefined);
  const syncs = (path) => existsSync(path + '.count') ? readFileSync(path + '.count').length : 0;
  const hold = (path) => writeFileSync(path + '.hold', '');
  const letGo = (path) => rmSync(path + '.hold');
  const held = async (path) => { while (!existsSync(path + '.held')) await setTimeout(1); };
  const fail = (path) => writeFileSync(path + '.fail', '');
  const heal = (path) => rmSync(path + '.fail');
  const codeOf = (call) => call.then(() => 'ok', (error) => error.code);
  const seen = [];`;

/** What the script pushed to \`seen\`. */
async function seenBy(t: Test, script: string): Promise<unknown> {
  const directory = t.testdir();
  const shim = join(directory, 'sync-fault.so');
  await run('gcc', ['-O2', '-Wall', '-Werror', '-shared', '-fPIC', '-o', shim, shimSource, '-ldl']);
  const source = `${begin}\n${script}\nawait file.close();\nconsole.log(JSON.stringify(seen));`;
  const env = { ...process.env, LD_PRELOAD: shim };
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', source, directory], { env, timeout: 60_000 });
  return JSON.parse(stdout);
}

t.test('while a flush syncs it is dirty, others write, and later flushes share the next', async (t) => {
  const script = `
    await write(0);
    hold(dataPath);
    const first = file.flush();
    await held(dataPath);
    seen.push(file.dirty);
    await write(0, 2);
    await write(700, 2);
    let ended = 0;
    const later = [file.flush(), file.flush(), file.flush(), file.flush()].map((flush) => flush.then(() => { ended += 1; }));
    seen.push(ended, syncs(dataPath), syncs(mapPath));
    letGo(dataPath);
    await first;
    await Promise.all(later);
    seen.push(file.dirty, syncs(dataPath), syncs(mapPath));
    await write(0, 3);
    await file.flush();
    seen.push(syncs(dataPath), syncs(mapPath));
    await file.trim(0, 4096);
    await file.flush();
    seen.push(syncs(dataPath), syncs(mapPath));
    await file.flush();
    seen.push(syncs(dataPath), syncs(mapPath));`;
  // Data alone: one sync of them. A trim alone: one sync of the map. Nothing: none.
  t.same(await seenBy(t, script), [true, 0, 1, 0, false, 2, 2, 3, 2, 3, 3, 3, 3]);
});

t.test('a block that changes while a flush syncs is written by the next', async (t) => {
  const script = `
    await write(0);
    hold(mapPath);
    const first = file.flush();
    await held(mapPath);
    await write(1);
    await file.trim(0, 4096);
    letGo(mapPath);
    await first;
    seen.push(file.dirty, [...file.runs(0, 4096 * 3, 9)].filter((_, index) => index % 3 === 0));
    // As a loss of power now would leave it: of the map, without its log.
    copyFileSync(mapPath, mapPath + '2');
    const copy = native.openOverlayFile({ ...options, dataPath: dataPath + '2', mapPath: mapPath + '2' });
    seen.push([...copy.runs(0, 4096 * 3, 9)].filter((_, index) => index % 3 === 0));
    await copy.close();
    await file.flush();
    seen.push(file.dirty, file.allocatedBytes());
    await file.close();
    file = native.openOverlayFile(options);
    seen.push([...file.runs(0, 4096 * 3, 9)].filter((_, index) => index % 3 === 0));`;
  t.same(await seenBy(t, script), [true, [2, 1, 0], [1, 0], false, 4096, [2, 1, 0]]);
});

t.test('after a failed sync of the data no flush says that they are there', async (t) => {
  const script = `
    await write(0);
    await file.flush();
    await write(0, 2);
    fail(dataPath);
    seen.push(await codeOf(file.flush()), file.dirty);
    heal(dataPath);
    seen.push(await codeOf(file.flush()), file.dirty);
    await write(1);
    seen.push(await codeOf(file.flush()));
    await file.close();
    file = native.openOverlayFile(options);
    await write(2);
    seen.push(await codeOf(file.flush()), file.loss.isMarked, JSON.parse(file.loss.text).error);
    fail(dataPath);
    seen.push(await codeOf(file.acceptLoss()), file.loss.isMarked);
    heal(dataPath);
    seen.push(await codeOf(file.acceptLoss()), file.loss === undefined, await codeOf(file.flush()), file.dirty, file.dataBytes);
    await file.close();
    file = native.openOverlayFile(options);
    seen.push(file.loss === undefined, await codeOf(file.flush()));`;
  const seen = ['EIO', true, 'EIO', true, 'EIO', 'EIO', true, 'EIO', 'EIO', true, 'ok', true, 'ok', false, 8192, true, 'ok'];
  t.same(await seenBy(t, script), seen);
});

t.test('a failed sync of the map is named, and a later process writes the map again', async (t) => {
  const script = `
    const errorOf = (call) => call.then(() => 'ok', (error) => error.path.slice(process.argv[1].length));
    await write(0);
    fail(mapPath);
    seen.push(await errorOf(file.flush()), existsSync(mapPath + '.unsynced'));
    heal(mapPath);
    // Without the log, as where it had no room: the map reads as it was written, and may not be so on the disk.
    await file.close();
    for (const log of ['.log0', '.log1']) writeFileSync(mapPath + log, '');
    file = native.openOverlayFile(options);
    const before = syncs(mapPath);
    seen.push(file.dirty, await errorOf(file.flush()), syncs(mapPath) - before, existsSync(mapPath + '.unsynced'), file.dirty);
    await file.close();
    // A process that was killed in a sync of the map: nobody knows how that ended.
    file = native.openOverlayFile(options);
    await file.flush();
    seen.push(syncs(mapPath) - before);`;
  t.same(await seenBy(t, script), ['/map', true, true, 'ok', 1, false, false, 2]);
});

t.test('after a failed sync of the map the next flush does all of it', async (t) => {
  const script = `
    await write(0);
    await write(1);
    await file.flush();
    await file.trim(0, 4096);
    await write(600);
    fail(mapPath);
    seen.push(await Promise.all([codeOf(file.flush()), codeOf(file.flush())]), file.dirty, file.allocatedBytes());
    heal(mapPath);
    seen.push(await codeOf(file.flush()), file.dirty, file.allocatedBytes());
    await file.close();
    file = native.openOverlayFile(options);
    seen.push(file.dataBytes, file.zeroBytes);`;
  t.same(await seenBy(t, script), [['EIO', 'EIO'], true, 3 * 4096, 'ok', false, 2 * 4096, 2 * 4096, 4096]);
});
