/** Calls on one overlay that run at once: overlapping writes, fills, trims and flushes, on many threads. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import t, { type Test } from 'tap';
import { native } from '../../src/base/native/loader.js';
import { BlockState, blockBytes, type NativeOverlayFile, type OverlayFileOptions } from '../../src/base/native/overlay.js';

const { base, data, remote } = BlockState;
const blockCount = 600;
/** More than small: such calls have threads of their own, and meet. */
const largeBlocks = 24;

function optionsIn(directory: string): OverlayFileOptions {
  const paths = { dataPath: join(directory, 'data'), mapPath: join(directory, 'map') };
  return { ...paths, sizeBytes: blockCount * blockBytes, recordsOffset: 4096, recordSeed: 3 };
}

async function openWith(t: Test, state: number): Promise<NativeOverlayFile> {
  const options = optionsIn(t.testdir());
  await native.writeOverlayMap({ ...options, header: Buffer.alloc(0) }, new Uint8Array(blockCount).fill(state));
  const file = native.openOverlayFile(options);
  t.teardown(() => file.close());
  return file;
}

/** The one byte that the block consists of. */
function fillOf(block: Buffer): number {
  const [first = 0] = block;
  if (!block.equals(Buffer.alloc(block.length, first))) throw new Error('bytes of several writers in one block');
  return first;
}

async function blocksOf(file: NativeOverlayFile, first: number, count: number): Promise<number[]> {
  const target = Buffer.alloc(count * blockBytes);
  if (!(await file.read(target, 0, target.length, first * blockBytes))) throw new Error('not all is here');
  return Array.from({ length: count }, (_, index) => fillOf(target.subarray(index * blockBytes, (index + 1) * blockBytes)));
}

let seed = 1;
const random = (below: number): number => {
  seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
  return (seed >>> 8) % below;
};

t.test('where writes overlap each block is wholly one writer’s', async (t) => {
  const file = await openWith(t, base);
  for (let round = 0; round < 30; round += 1) {
    const calls: Promise<unknown>[] = [];
    const writers = Array.from({ length: 16 }, (_, index) => {
      const count = index % 3 === 0 ? largeBlocks : 1 + random(8);
      return { fill: index + 1, first: random(40), count };
    });
    for (const { fill, first, count } of writers) {
      calls.push(file.write(Buffer.alloc(count * blockBytes, fill), 0, count * blockBytes, first * blockBytes, undefined));
      if (fill % 5 === 0) calls.push(file.flush());
    }
    await Promise.all(calls);
    const runs = file.runs(0, 64 * blockBytes, 64);
    for (let block = 0; block < 64; block += 1) {
      const by = writers.filter(({ first, count }) => block >= first && block < first + count).map(({ fill }) => fill);
      if (by.length === 0) continue;
      const [fill = 0] = await blocksOf(file, block, 1);
      if (!by.includes(fill)) throw new Error(`block ${block} has the bytes of ${fill}, who wrote elsewhere`);
    }
    if (runs.length === 0) throw new Error('no runs');
    await file.zero(0, 64 * blockBytes, { allocate: round % 2 === 0 }, undefined);
  }
  t.pass('no block is mixed');
});

t.test('partial writes of one block are all there', async (t) => {
  const file = await openWith(t, base);
  for (let round = 0; round < 40; round += 1) {
    const block = round * 2;
    const edges = Buffer.alloc(2 * blockBytes, 0xaa);
    const expected = Buffer.alloc(blockBytes, 0xaa);
    // Eight parts of the block, each by a call that finds it base, or data since another call; one comes with a long write before it.
    const parts = Array.from({ length: 8 }, (_, index) => index * 512);
    const calls = parts.map((start) => {
      expected.fill(start / 512 + 1, start, start + 512);
      const isFirst = start === 0 && round % 2 === 1 && block >= largeBlocks;
      const before = isFirst ? (largeBlocks - 1) * blockBytes : 0;
      return file.write(Buffer.alloc(before + 512, start / 512 + 1), 0, before + 512, block * blockBytes + start - before, edges);
    });
    if (!(await Promise.all(calls)).every((done) => done)) throw new Error('edges were there');
    const target = Buffer.alloc(blockBytes);
    await file.read(target, 0, blockBytes, block * blockBytes);
    if (!target.equals(expected)) throw new Error(`round ${round}: a part was lost`);
  }
  t.pass('none was lost');
});

t.test('long writes that end in one block don’t lose each other’s part of it', async (t) => {
  const file = await openWith(t, base);
  const half = largeBlocks * blockBytes + 2048;
  for (let round = 0; round < 40; round += 1) {
    const offset = (round % 12) * 49 * blockBytes;
    // They meet in the middle of a block that is base, on threads of their own.
    const edges = Buffer.alloc(2 * blockBytes, 0xaa);
    const done = await Promise.all([
      file.write(Buffer.alloc(half, 1), 0, half, offset, edges),
      file.write(Buffer.alloc(half, 2), 0, half, offset + half, edges),
    ]);
    if (!done.every((one) => one)) throw new Error('edges were there');
    const target = Buffer.alloc(2 * half);
    await file.read(target, 0, target.length, offset);
    if (!target.equals(Buffer.alloc(2 * half, 1).fill(2, half))) throw new Error(`round ${round}: a part was lost`);
    // Zeros are composed as base blocks are: by who comes first.
    await file.trim(offset, 2 * half);
  }
  t.pass('none was lost');
});

t.test('a fill never takes the place of a write', async (t) => {
  const file = await openWith(t, remote);
  const old = 0xf0;
  const large = Buffer.alloc(largeBlocks * blockBytes, old);
  for (let first = 0; first + largeBlocks <= blockCount; first += largeBlocks) {
    const calls: Promise<unknown>[] = [];
    const written = new Map<number, number>();
    for (let round = 0; round < 6; round += 1) {
      calls.push(file.fill(large, 0, large.length, first * blockBytes));
      const block = first + random(largeBlocks);
      const way = round % 3;
      written.set(block, way === 2 ? 0 : 7);
      if (way === 2) calls.push(file.trim(block * blockBytes, blockBytes));
      else calls.push(file.write(Buffer.alloc(blockBytes, 7), 0, blockBytes, block * blockBytes, undefined));
      await calls[calls.length - 1];
      const [now] = await blocksOf(file, block, 1);
      if (now !== written.get(block)) throw new Error(`block ${block} was overwritten by a late fill`);
    }
    await Promise.all(calls);
    const found = await blocksOf(file, first, largeBlocks);
    for (const [index, fill] of found.entries()) {
      if (fill !== (written.get(first + index) ?? old)) throw new Error(`block ${first + index} is ${fill}`);
    }
  }
  t.equal(file.remoteBytes, 0);
  t.same([...file.runs(0, blockBytes, 1)].length, 3);
});

t.test('trims and flushes that punch never touch what is written meanwhile', async (t) => {
  // In memory, where a flush is nothing but its punches.
  const directory = mkdtempSync('/dev/shm/copse-test-');
  t.teardown(() => rmSync(directory, { recursive: true }));
  const file = native.openOverlayFile(optionsIn(directory));
  t.teardown(() => file.close());
  const all = largeBlocks * blockBytes;
  let ended = false;
  const flusher = async (): Promise<void> => {
    while (!ended) await file.flush();
  };
  const flushing = flusher();
  for (let round = 1; round <= 1500; round += 1) {
    const fill = (round % 250) + 1;
    await file.trim(0, all);
    // Some as one large write, some block by block.
    const parts = round % 2 === 0 ? [[0, largeBlocks] as const] : Array.from({ length: largeBlocks }, (_, block) => [block, 1] as const);
    await Promise.all(
      parts.map(([first, count]) =>
        file.write(Buffer.alloc(count * blockBytes, fill), 0, count * blockBytes, first * blockBytes, undefined),
      ),
    );
    const found = await blocksOf(file, 0, largeBlocks);
    if (!found.every((one) => one === fill)) throw new Error(`round ${round}: ${found}`);
  }
  ended = true;
  await flushing;
  await file.flush();
  t.same([...file.runs(0, all, 2)], [data, 0, all]);
  t.equal(file.allocatedBytes(), all);
});

t.test('readers see old or new, never what was there before a trim', async (t) => {
  const file = await openWith(t, base);
  const all = largeBlocks * blockBytes;
  // Blocks are 1, then trimmed for good one by one while others are trimmed and written around them.
  await file.write(Buffer.alloc(all, 1), 0, all, 0, undefined);
  let trimmed = 0;
  let ended = false;
  const reader = async (): Promise<void> => {
    const target = Buffer.alloc(all);
    while (!ended) {
      const upTo = trimmed;
      await file.read(target, 0, all, 0);
      if (!target.subarray(0, upTo * blockBytes).equals(Buffer.alloc(upTo * blockBytes))) throw new Error('bytes from before the trim');
      if (file.readNow(target, 0, all, 0) === 0 && !target.subarray(0, trimmed * blockBytes).equals(Buffer.alloc(trimmed * blockBytes))) {
        throw new Error('bytes from before the trim, now');
      }
    }
  };
  const readers = [reader(), reader(), reader()];
  for (; trimmed < largeBlocks; trimmed += 1) {
    for (let round = 0; round < 8; round += 1) {
      const rest = all - trimmed * blockBytes;
      await file.trim(trimmed * blockBytes, rest);
      if (round < 7) await file.write(Buffer.alloc(rest, 1), 0, rest, trimmed * blockBytes, undefined);
    }
  }
  ended = true;
  await Promise.all(readers);
  t.equal(file.isZero(0, all), true);
});

t.test('changes taken while others are made are never lost', async (t) => {
  const file = await openWith(t, base);
  file.trackChanges(true);
  const copy = new Uint8Array(blockCount);
  const replica = Buffer.alloc(blockCount * blockBytes);
  const target = Buffer.alloc(blockBytes);
  let ended = false;
  const writer = async (lane: number): Promise<void> => {
    for (let round = 0; round < 120; round += 1) {
      const count = round % 4 === 0 ? largeBlocks : 1;
      const first = random(100 - count);
      await file.write(
        Buffer.alloc(count * blockBytes, 1 + ((round * 4 + lane) % 255)),
        0,
        count * blockBytes,
        first * blockBytes,
        undefined,
      );
    }
  };
  const follow = async (): Promise<void> => {
    file.copyMap(copy, 0, 0, blockCount, true);
    for (const [block, byte] of copy.entries()) {
      if ((byte & 4) === 0) continue;
      await file.read(target, 0, blockBytes, block * blockBytes);
      target.copy(replica, block * blockBytes);
    }
  };
  const follower = async (): Promise<void> => {
    while (!ended) {
      await follow();
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const following = follower();
  await Promise.all([0, 1, 2, 3].map(writer));
  ended = true;
  await following;
  await follow();
  t.equal(file.changedBytes, 0);
  for (let block = 0; block < blockCount; block += 1) {
    if (file.runs(block * blockBytes, blockBytes, 1)[0] === base) continue;
    await file.read(target, 0, blockBytes, block * blockBytes);
    if (!target.equals(replica.subarray(block * blockBytes, (block + 1) * blockBytes))) throw new Error(`block ${block} was not followed`);
  }
});

t.test('a write over all comes to its turn under a stream of small ones', async (t) => {
  const file = await openWith(t, base);
  let ended = false;
  let small = 0;
  const stream = async (): Promise<void> => {
    // Always some under way, each over a part of what the large one wants.
    while (!ended) {
      await file.write(Buffer.alloc(17 * blockBytes, 1), 0, 17 * blockBytes, random(blockCount - 17) * blockBytes, undefined);
      small += 1;
    }
  };
  const streams = Array.from({ length: 8 }, stream);
  const whole = Buffer.alloc(blockCount * blockBytes, 2);
  for (let round = 0; round < 5; round += 1) await file.write(whole, 0, whole.length, 0, undefined);
  ended = true;
  await Promise.all(streams);
  t.ok(small > 0);
  t.equal(file.dataBytes, blockCount * blockBytes);
});

t.test('a worker may be ended with calls under way', async (t) => {
  // In memory: the end of a worker waits for its syncs, and how long a shared disk takes for them is not the question here.
  const directory = mkdtempSync('/dev/shm/copse-test-');
  t.teardown(() => rmSync(directory, { recursive: true }));
  const options = optionsIn(directory);
  const source = `
    const { parentPort, workerData } = await import('node:worker_threads');
    const { native } = await import(workerData.module);
    const file = native.openOverlayFile(workerData.options);
    let ended = 0;
    async function work(index) {
      while (true) {
        await file.write(Buffer.alloc(4096, 1), 0, 4096, (index % 64) * 4096, undefined);
        if (index % 8 === 0) await file.flush();
        if ((ended += 1) === 200) parentPort.postMessage('busy');
      }
    }
    for (let index = 0; index < 64; index += 1) void work(index);`;
  for (let round = 0; round < 4; round += 1) {
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), {
      // Without the test runner's loaders, which take seconds to start.
      execArgv: [],
      workerData: { module: new URL('../../src/base/native/loader.js', import.meta.url).href, options },
    });
    await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    await worker.terminate();
  }
  const file = native.openOverlayFile(options);
  await file.write(Buffer.alloc(4096, 9), 0, 4096, 0, undefined);
  await file.flush();
  await file.close();
});
