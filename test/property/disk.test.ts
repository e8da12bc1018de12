/**
 * Random writes, zeros with all flags, trims, reads, flushes and restarts, by several callers at once, over a base and blocks of another node, against a Buffer as the model. fast-check
 * prints the seed of what fails and makes it small.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { native } from '../../src/base/native/loader.js';
import { BlockState } from '../../src/base/native/overlay.js';
import type { Disk } from '../../src/disk/overlay/device.js';
import { pattern } from '../conformance/content.js';
import {
  openDisk,
  openOverlay,
  overlayFiles,
  readDisk,
  remoteState,
  ScriptedBase,
  ScriptedRemote,
  writeMap,
} from '../disk/overlay/parts.js';
import { type Operation, runWorkload } from './disk-workload.js';

const blockBytes = 4096;
const blockCount = 64;
const sizeBytes = blockCount * blockBytes;

const someOperation: fc.Arbitrary<Omit<Operation, 'index'>> = fc
  .record({
    kind: fc.constantFrom<Operation['kind'][]>('read', 'read', 'read', 'write', 'write', 'write', 'zero', 'zero', 'trim', 'flush'),
    block: fc.nat(blockCount - 1),
    shift: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: blockBytes - 1 })),
    lengthBytes: fc.oneof(fc.constantFrom(1, 512, blockBytes, 4 * blockBytes), fc.integer({ min: 1, max: 100_000 })),
    fua: fc.boolean(),
    noHole: fc.boolean(),
    fastOnly: fc.boolean(),
  })
  .map(({ block, shift, lengthBytes, ...rest }) => {
    const offset = block * blockBytes + shift;
    return { ...rest, offset, lengthBytes: Math.min(lengthBytes, sizeBytes - offset) };
  });

const history = fc.record({
  /** Where the disk's blocks are at first. */
  states: fc.array(fc.constantFrom(BlockState.base, BlockState.base, BlockState.zero, remoteState(1), remoteState(31)), {
    minLength: 8,
    maxLength: 8,
  }),
  baseBytes: fc.oneof(fc.constant(undefined), fc.constant(sizeBytes), fc.integer({ min: 1, max: sizeBytes })),
  callerCount: fc.integer({ min: 1, max: 6 }),
  /** Each ends with a restart. */
  lives: fc.array(fc.array(someOperation, { minLength: 5, maxLength: 40, size: 'max' }), { minLength: 1, maxLength: 3, size: 'max' }),
});

/** What it says of itself is so. */
async function checkExtents(disk: Disk, model: Buffer): Promise<void> {
  let at = 0;
  for (const { lengthBytes, zero, hole } of await disk.extents(0, sizeBytes, 10_000)) {
    if (zero && !native.isZero(model, at, at + lengthBytes)) throw new Error(`no zeros at ${at}`);
    if (hole && !zero) throw new Error('a hole that is not zero');
    at += lengthBytes;
  }
  if (at !== sizeBytes) throw new Error(`extents of ${at} bytes`);
  at = 0;
  const now = Buffer.alloc(sizeBytes);
  for (const { lengthBytes, cached } of disk.cachedExtents(0, sizeBytes, 10_000)) {
    if (!cached && disk.readNow(now, 0, lengthBytes, at)) throw new Error(`read at once what is not here, at ${at}`);
    at += lengthBytes;
  }
  if (at !== sizeBytes) throw new Error(`cached extents of ${at} bytes`);
}

t.test('as on a plain Buffer', async (t) => {
  const folder = t.testdir();
  const remoteBytes = pattern(sizeBytes, 31);
  const baseContent = pattern(sizeBytes, 32);
  baseContent.fill(0, 10 * blockBytes, 20 * blockBytes);
  let operationCount = 0;
  let runCount = 0;
  const begun = performance.now();
  await fc.assert(
    fc.asyncProperty(history, async ({ states, baseBytes, callerCount, lives }) => {
      // As many as there is time for; what has begun is ended, whatever the disk takes for it.
      if (runCount > 0 && performance.now() - begun > 8000) return;
      runCount += 1;
      await Promise.all(['data', 'map'].map((name) => rm(join(folder, name), { force: true })));
      const files = overlayFiles(folder, sizeBytes);
      const base = baseBytes === undefined ? undefined : new ScriptedBase(baseContent.subarray(0, baseBytes));
      const remote = new ScriptedRemote(remoteBytes);
      // Late, so that writes overtake what is fetched.
      remote.before = () => new Promise((resolve) => setTimeout(resolve, 1));
      const map = Uint8Array.from({ length: blockCount }, (_, index) => states[Math.floor(index / 3) % states.length] ?? BlockState.base);
      await writeMap(files, map);
      const model = Buffer.alloc(sizeBytes);
      base?.bytes.copy(model);
      map.forEach((state, index) => {
        const [from, to] = [index * blockBytes, (index + 1) * blockBytes];
        if (state === BlockState.zero) model.fill(0, from, to);
        else if (state !== BlockState.base) remoteBytes.copy(model, from, from, to);
      });
      for (const operations of lives) {
        const { disk } = openDisk(openOverlay(files), { base, remote });
        try {
          let index = 0;
          const next = (): Operation | undefined => {
            const operation = operations[index++];
            return operation && { ...operation, index: operationCount++ };
          };
          await runWorkload({ device: disk, model, next, callerCount });
          await checkExtents(disk, model);
          if (!(await readDisk(disk, 0, sizeBytes)).equals(model)) throw new Error('the whole is not what the model is');
          if (lives.length > 1) await disk.cache(0, sizeBytes);
        } finally {
          await disk.close();
        }
      }
    }),
    { numRuns: 60, endOnFailure: true },
  );
  t.ok(operationCount > 0, `${operationCount} requests in ${runCount} runs`);
});
