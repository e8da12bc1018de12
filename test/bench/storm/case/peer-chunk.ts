/** What one chunk from a peer takes, beside what the link itself needs for as many bytes. */
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { MiB } from '../../../../src/base/size.js';
import { NbdClient } from '../../../../src/nbd/client/nbd-client.js';
import { shuffled } from '../../harness/statistic.js';
import type { RunningServer } from '../../server/server.js';
import type { StormCase, StormContext } from '../context.js';
import { startPlainRemote } from '../lab/plain-remote.js';
import { hostsOf, startGrowingFleet } from '../run.js';

const chunkCount = 100;
/** Far apart and in no order, so that readahead has no part in it. */
const strideBytes = 8 * MiB;
const linkBitsPerSecond = 1e9;

export const peerChunk: StormCase = {
  name: 'peer-chunk',
  async run(context) {
    const transferMs = (context.chunkBytes * 8 * 1000) / linkBitsPerSecond;
    const boundMs = 1.5 * transferMs + 1;
    const offsets = shuffled(Math.floor(context.image.sizeBytes / strideBytes), 7)
      .slice(0, chunkCount)
      .map((index) => index * strideBytes);
    const [place, later] = hostsOf(context, 2);
    if (place === undefined || later === undefined) throw new Error('the lab is too small');
    const fleet = await startGrowingFleet(context, [place], [later]);
    try {
      const [holder] = fleet.servers;
      if (holder === undefined) throw new Error('a server was started');
      context.say(`${offsets.length} chunks that only the peer holds, one by one`);
      await timeReads(holder, offsets, context.chunkBytes);
      // It joins only now: as the home of half of them it would hold those by itself.
      const asker = await fleet.join(later);
      const mark = await context.origin.mark();
      const tookMs = await timeReads(asker, offsets, context.chunkBytes);
      const again = await timeReads(asker, offsets, context.chunkBytes);
      const asked = (await context.origin.use(mark, 'copse')).ranges.filter(({ lengthBytes }) => lengthBytes > 1).length;
      context.say('the same by nbdkit, from its file on the one host to the other');
      const plainMs = await plainReads(context, offsets);
      context.keep('peer-chunk', { tookMs, again, plainMs });
      const median = at(tookMs, 0.5);
      return {
        rows: [
          {
            work: `a chunk of ${context.chunkBytes / 1024} KiB from a peer, median`,
            measured: `${spread(tookMs)}; held here ${at(again, 0.5).toFixed(2)} ms; ${asked} asked of the origin`,
            wanted: `≤ ${boundMs.toFixed(2)} ms (1.5 × ${transferMs.toFixed(2)} + 1)`,
            met: median <= boundMs && asked === 0,
          },
          { work: 'the same from nbdkit to nbdkit over the same link, nothing kept', measured: spread(plainMs), wanted: '' },
        ],
      };
    } finally {
      await fleet.close();
    }
  },
};

function at(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function spread(values: readonly number[]): string {
  return `${at(values, 0.5).toFixed(2)} ms (p5 ${at(values, 0.05).toFixed(2)}, p95 ${at(values, 0.95).toFixed(2)})`;
}

async function plainReads(context: StormContext, offsets: readonly number[]): Promise<number[]> {
  const [from, to] = hostsOf(context, 2);
  if (from === undefined || to === undefined) throw new Error('the lab is too small');
  const dir = await mkdtemp(join(context.workDir, 'p'));
  const server = await startPlainRemote(dir, context.image.path, from, to);
  try {
    return await timeReads(server, offsets, context.chunkBytes);
  } finally {
    await server.close();
  }
}

/** Milliseconds from the request to its last byte, of each. */
async function timeReads(server: RunningServer, offsets: readonly number[], lengthBytes: number): Promise<number[]> {
  const client = await NbdClient.connect({ path: server.socketPath }, { exportName: server.exportName });
  try {
    const tookMs: number[] = [];
    for (const offset of offsets) {
      const beganMs = performance.now();
      await client.read(offset, lengthBytes, { data() {}, zeroes() {} });
      tookMs.push(performance.now() - beganMs);
    }
    return tookMs;
  } finally {
    await client.disconnect();
  }
}
