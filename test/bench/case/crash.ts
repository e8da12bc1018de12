/** `kill -9` right after the whole image was read, restart, read all again: what is fetched once more, and is every byte right? */
import { open } from 'node:fs/promises';
import { MiB } from '../../../src/base/size.js';
import { type BenchCase, type BenchContext, withDir } from '../context.js';
import { boundRow, type CaseResult } from '../harness/report.js';
import { connectReader } from '../load/nbd-reader.js';
import { startCopse } from '../server/copse.js';

const latencyMs = 1;
const blockBytes = MiB;

export const crash: BenchCase = {
  name: 'crash',
  run: (context) => withDir(context, (dir) => killAndRestart(context, dir)),
};

async function killAndRestart(context: BenchContext, dir: string): Promise<CaseResult> {
  const { origin, full } = context;
  const sizeBytes = context.quick ? full.sizeBytes / 4 : full.sizeBytes;
  const images = { image: origin.url(latencyMs, 'copse', full.name) };

  context.progress('crash: reading all');
  const first = await startCopse(dir, { images });
  try {
    await readAndCompare(first, full.path, sizeBytes);
  } finally {
    await first.program.kill();
  }

  context.progress('crash: reading all again after kill -9');
  const mark = await origin.mark(latencyMs);
  const second = await startCopse(dir, { images });
  try {
    const wrongBytes = await readAndCompare(second, full.path, sizeBytes);
    const use = await origin.use(mark, 'copse');
    const share = use.bytes / sizeBytes;
    return {
      rows: [
        boundRow('kill -9, restart, read all again: bytes refetched', `${(share * 100).toFixed(3)} %`, '< 1 %', share < 0.01),
        boundRow('kill -9, restart, read all again: wrong bytes', String(wrongBytes), '0', wrongBytes === 0),
      ],
      samples: { sizeBytes, refetchedBytes: use.bytes, refetchRequests: use.requests, wrongBytes },
    };
  } finally {
    await second.close();
  }
}

/** Reads the span and counts the bytes that differ from the file, in units of whole blocks once one byte differs. */
async function readAndCompare(server: Parameters<typeof connectReader>[0], path: string, sizeBytes: number): Promise<number> {
  const file = await open(path);
  const reader = await connectReader(server);
  let wrongBytes = 0;
  let next = 0;
  const lane = async (): Promise<void> => {
    const expected = Buffer.alloc(blockBytes);
    while (next < sizeBytes) {
      const offset = next;
      next += blockBytes;
      const [actual] = await Promise.all([reader.readContent(offset, blockBytes), file.read(expected, 0, blockBytes, offset)]);
      if (!actual.equals(expected)) wrongBytes += blockBytes;
    }
  };
  try {
    await Promise.all(Array.from({ length: 8 }, lane));
  } finally {
    await reader.close();
    await file.close();
  }
  return wrongBytes;
}
