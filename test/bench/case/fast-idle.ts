/** What 1000 connections cost that ask for nothing: resident memory of the daemon. Each has read once, so that it is served as it will be. */
import { KiB, MiB } from '../../../src/base/size.js';
import { type BenchCase, withDir } from '../context.js';
import { boundRow, type CaseResult, type Row } from '../harness/report.js';
import { type ContentReader, connectReader } from '../load/nbd-reader.js';
import { startCopse } from '../server/copse.js';
import { copseVariants } from '../server/fast-peer.js';

const count = 1000;

export const fastIdle: BenchCase = {
  name: 'fast-idle',
  section: 'fast',
  async run(context): Promise<CaseResult> {
    const rows: Row[] = [];
    const samples: Record<string, unknown> = {};
    for (const [name, flags] of await copseVariants()) {
      const { beforeBytes, afterBytes } = await withDir(context, async (dir) => {
        const server = await startCopse(dir, { images: { image: context.full.path }, flags });
        const readers: ContentReader[] = [];
        const connect = async (): Promise<void> => {
          const reader = await connectReader(server);
          readers.push(reader);
          await reader.read((readers.length % 1000) * 4 * KiB, 4 * KiB);
        };
        try {
          await server.warm('image');
          await connect();
          const beforeBytes = await server.program.residentBytes();
          while (readers.length <= count) await connect();
          const afterBytes = await server.program.residentBytes();
          context.progress(`fast-idle: ${name}: ${afterBytes - beforeBytes} bytes for ${count} connections`);
          return { beforeBytes, afterBytes };
        } finally {
          await Promise.all(readers.map((reader) => reader.close()));
          await server.close();
        }
      });
      samples[name] = { beforeBytes, afterBytes };
      const growth = afterBytes - beforeBytes;
      const measured = `${(growth / MiB).toFixed(1)} MiB (from ${Math.round(beforeBytes / MiB)} to ${Math.round(afterBytes / MiB)})`;
      const work = `memory for ${count} idle connections`;
      rows.push(
        name === 'copse'
          ? boundRow(work, measured, '< 64 MiB', growth < 64 * MiB)
          : { ...boundRow(`${work}, ${name}`, measured, '', true), met: undefined },
      );
    }
    return { rows, samples };
  },
};
