/** Creating a disk over an image of 100 GiB: how long it takes, and what it leaves on the host's disk before anything is written to it. */
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Agent, request } from 'undici';
import { KiB, MiB } from '../../../src/base/size.js';
import { type BenchCase, withDir } from '../context.js';
import { hugeImage } from '../harness/image-file.js';
import { boundRow, rowOf } from '../harness/report.js';
import { type Contender, runRounds } from '../harness/round.js';
import { median } from '../harness/statistic.js';
import { type RunningCopse, startCopse } from '../server/copse.js';
import { copseDisk, createQcow2 } from '../server/disk-server.js';

const diskCount = 20;
const work = 'create a disk over a 100 GiB image';

export const diskCreate: BenchCase = {
  name: 'disk-create',
  section: 'disk',
  async run(context) {
    context.progress('disk-create');
    const image = await hugeImage(dirname(context.full.path));
    return withDir(context, async (dir) => {
      const ownDir = join(dir, 'c');
      await mkdir(ownDir);
      const server = await startCopse(ownDir, { images: { image: image.path } });
      try {
        const beforeBytes = await allocatedBytes(join(ownDir, 'state'));
        const tookMs = await createMany(server);
        const bytesPerDisk = ((await allocatedBytes(join(ownDir, 'state'))) - beforeBytes) / diskCount;
        let count = 0;
        const qcow2Path = join(dir, 'overlay.qcow2');
        const contenders: Contender[] = [
          timed('copse', () => copseDisk(server, 'create', `command-${++count}`, '--image', 'image')),
          timed('qemu', () => createQcow2(qcow2Path, image.path)),
        ];
        const rounds = await runRounds(contenders, { unit: 'ms', better: 'lower' }, { pairs: context.pairs });
        const qcow2Bytes = (await stat(qcow2Path)).blocks * 512;
        await rm(qcow2Path);
        const inMs = (ms: number): string => `${ms.toFixed(1)} ms`;
        const range = `${Math.min(...tookMs).toFixed(1)}-${Math.max(...tookMs).toFixed(1)}`;
        return {
          rows: [
            boundRow(`${work}, by the API`, `${inMs(median(tookMs))} (${range})`, '< 50 ms', median(tookMs) < 50),
            boundRow(`${work}: on the host's disk`, `${(bytesPerDisk / KiB).toFixed(0)} KiB`, '< 1 MiB', bytesPerDisk < MiB),
            rowOf(`${work}, by the command`, rounds, 'qemu', undefined, `qemu-img create, ${qcow2Bytes / KiB} KiB`),
          ],
          samples: { tookMs, bytesPerDisk, qcow2Bytes, rounds },
        };
      } finally {
        await server.close();
      }
    });
  },
};

/** @returns milliseconds of each request */
async function createMany(server: RunningCopse): Promise<number[]> {
  const dispatcher = new Agent({ connect: { socketPath: server.adminSocketPath } });
  const tookMs: number[] = [];
  try {
    for (let index = 0; index < diskCount; index += 1) {
      const beganMs = performance.now();
      const answer = await request(`http://localhost/v1/disks/disk-${index}`, {
        dispatcher,
        method: 'PUT',
        body: JSON.stringify({ image: 'image' }),
        headers: { 'content-type': 'application/json' },
      });
      const text = await answer.body.text();
      tookMs.push(performance.now() - beganMs);
      if (answer.statusCode !== 200) throw new Error(`the disk was not created: ${answer.statusCode} ${text}`);
    }
    return tookMs;
  } finally {
    await dispatcher.destroy();
  }
}

function timed(name: string, create: () => Promise<unknown>): Contender {
  return {
    name,
    async run() {
      const beganMs = performance.now();
      await create();
      return { value: performance.now() - beganMs };
    },
  };
}

/** Of all files and directories below, as `du` counts. */
async function allocatedBytes(dir: string): Promise<number> {
  const names = await readdir(dir, { recursive: true });
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(dir, name)).catch(() => undefined))?.blocks ?? 0));
  return sizes.reduce((sum, blocks) => sum + blocks * 512, 0);
}
