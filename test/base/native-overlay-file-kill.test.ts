/** What a process that was killed had answered and not flushed: the next one has it, and its flush covers it. A guest does not repeat what was answered. */
import { copyFileSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import t, { type Test } from 'tap';
import { native } from '../../src/base/native/loader.js';
import { BlockState, blockBytes } from '../../src/base/native/overlay.js';

const { base, data, zero } = BlockState;
const module = new URL('../../src/base/native/loader.js', import.meta.url).href;
const blockCount = 2000;

function optionsIn(directory: string) {
  return {
    dataPath: join(directory, 'data'),
    mapPath: join(directory, 'map'),
    sizeBytes: blockCount * blockBytes,
    recordsOffset: 4096,
    recordSeed: 7,
  };
}

/** Runs the script over an overlay in a process of its own, which kills itself at its end. */
async function killed(directory: string, script: string): Promise<void> {
  const source = `
    const { native } = await import(${JSON.stringify(module)});
    const file = native.openOverlayFile(${JSON.stringify(optionsIn(directory))});
    const write = (block, fill, count = 1) => file.write(Buffer.alloc(4096 * count, fill), 0, 4096 * count, block * 4096, undefined);
    ${script}
    process.kill(process.pid, 'SIGKILL');`;
  const { signal } = await execa(process.execPath, ['--input-type=module', '-e', source], { reject: false, timeout: 60_000 });
  t.equal(signal, 'SIGKILL');
}

/** State and first byte of the blocks. */
async function seen(directory: string, blocks: number[]): Promise<string[]> {
  const file = native.openOverlayFile(optionsIn(directory));
  try {
    const target = Buffer.alloc(blockBytes);
    const texts: string[] = [];
    for (const block of blocks) {
      const [state] = file.runs(block * blockBytes, blockBytes, 1);
      if (state === data || state === zero) await file.read(target, 0, blockBytes, block * blockBytes);
      texts.push(state === base ? 'base' : `${state === zero ? 'zero' : 'data'} ${target[0]}`);
    }
    return texts;
  } finally {
    await file.close();
  }
}

const directoryOf = (t: Test): string => t.testdir();

t.test('writes and trims that were answered are there, flushed before or not', async (t) => {
  const directory = directoryOf(t);
  await killed(
    directory,
    'await write(0, 1); await write(1, 1); await file.flush(); await write(1, 2); await write(2, 2); await file.trim(0, 4096); await write(600, 3, 20);',
  );
  t.same(await seen(directory, [0, 1, 2, 3, 600, 619, 620]), ['zero 0', 'data 2', 'data 2', 'base', 'data 3', 'data 3', 'base']);
  // A second one that flushes nothing, and is killed too.
  await killed(directory, 'await write(2, 4); await file.trim(600 * 4096, 4096); await write(3, 4);');
  t.same(await seen(directory, [0, 2, 3, 600, 601]), ['zero 0', 'data 4', 'data 4', 'zero 0', 'data 3']);
  const file = native.openOverlayFile(optionsIn(directory));
  t.equal(file.dirty, true);
  // One that has punched for a second leaves the rest to the next.
  while (file.dirty) await file.flush();
  await file.close();
  // The map alone, as after a loss of power.
  const { mapPath } = optionsIn(directory);
  for (const log of ['.log0', '.log1']) truncateSync(`${mapPath}${log}`, 0);
  t.same(await seen(directory, [0, 1, 2, 3, 600, 601]), ['zero 0', 'data 2', 'data 4', 'data 4', 'zero 0', 'data 3']);
});

t.test('what was flushed wins over what the log said before', async (t) => {
  const directory = directoryOf(t);
  const script =
    'for (let round = 0; round < 7; round += 1) { await file.trim(0, 4096); await write(round + 1, round); await write(0, round + 1); if (round < 6) await file.flush(); }';
  await killed(directory, `${script} await file.flush(); await file.trim(4096, 4096); await file.flush(); await write(1, 9);`);
  t.same(await seen(directory, [0, 1, 2, 7, 8]), ['data 7', 'data 9', 'data 1', 'data 6', 'base']);
});

t.test('a log of another map, or of before the machine started, is not believed', async (t) => {
  const directory = directoryOf(t);
  await killed(directory, 'await write(0, 1); await file.flush(); await write(1, 1);');
  const { mapPath, dataPath } = optionsIn(directory);
  const copy = join(directory, 'copy');
  mkdirSync(copy);
  for (const [from, to] of [
    [mapPath, 'map'],
    [dataPath, 'data'],
    [`${mapPath}.log0`, 'map.log0'],
    [`${mapPath}.log1`, 'map.log1'],
  ] as const) {
    copyFileSync(from, join(copy, to));
  }
  t.same(await seen(copy, [0, 1]), ['data 1', 'base'], 'a copy of the map is another file');
  writeFileSync(`${mapPath}.log0`, Buffer.alloc(64, 1));
  writeFileSync(`${mapPath}.log1`, 'x');
  t.same(await seen(directory, [0, 1]), ['data 1', 'base']);
});
