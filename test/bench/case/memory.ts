/** Resident memory of the daemon with 20 images of 10 GiB attached, after a bit of each was read. */
import { KiB, MiB } from '../../../src/base/size.js';
import { type BenchCase, type BenchContext, withDir } from '../context.js';
import { boundRow, type CaseResult } from '../harness/report.js';
import { shuffled } from '../harness/statistic.js';
import { connectReader } from '../load/nbd-reader.js';
import { readEach } from '../load/reader.js';
import { startCopse } from '../server/copse.js';

const latencyMs = 1;
const imageCount = 20;
/** Read of each image: random 64 KiB of the data, then a run in sequence. */
const randomBytes = 8 * MiB;
const sequentialBytes = 8 * MiB;

export const memory: BenchCase = {
  name: 'memory',
  run: (context) => withDir(context, (dir) => attachAll(context, dir)),
};

async function attachAll(context: BenchContext, dir: string): Promise<CaseResult> {
  const { sparse, origin } = context;
  const names = Array.from({ length: imageCount }, (_, index) => `image-${index}`);
  // Each image its own URL and its own cache.
  const images = Object.fromEntries(names.map((name) => [name, origin.url(latencyMs, `copse-${name}`, sparse.name)]));
  context.progress(`memory: starting with ${imageCount} images`);
  const server = await startCopse(dir, { images });
  try {
    const idleBytes = await server.program.residentBytes();
    const readers = [];
    for (const exportName of names) readers.push(await connectReader({ socketPath: server.socketPath, exportName }));
    const attachedBytes = await server.program.residentBytes();
    let maxBytes = attachedBytes;
    for (const [index, reader] of readers.entries()) {
      context.progress(`memory: reading from image ${index + 1} of ${imageCount}`);
      const blockBytes = 64 * KiB;
      const random = shuffled(sparse.dataBytes / blockBytes, index).slice(0, randomBytes / blockBytes);
      const run = Array.from({ length: sequentialBytes / blockBytes }, (_, block) => block);
      for (const blocks of [random, run]) {
        const offsets = blocks.map((block) => block * blockBytes);
        await readEach(reader, offsets, { lengthBytes: blockBytes, depth: 8, limitMs: 60_000 });
        maxBytes = Math.max(maxBytes, await server.program.residentBytes());
      }
    }
    const afterBytes = await server.program.residentBytes();
    await Promise.all(readers.map((reader) => reader.close()));
    const inMiB = (bytes: number): number => Math.round(bytes / MiB);
    const measured = `${inMiB(maxBytes)} MiB (started ${inMiB(idleBytes)}, attached ${inMiB(attachedBytes)}, after ${inMiB(afterBytes)})`;
    return {
      rows: [boundRow(`resident memory, ${imageCount} images of 10 GiB attached`, measured, '< 200 MiB', maxBytes < 200 * MiB)],
      samples: { idleBytes, attachedBytes, maxBytes, afterBytes },
    };
  } finally {
    await server.close();
  }
}
