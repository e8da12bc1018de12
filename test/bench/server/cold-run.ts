/** One cold run: a fresh server over the origin, some work, and what it cost. */
import { type BenchContext, withDir } from '../context.js';
import type { OriginUse } from '../harness/origin.js';
import type { RunningServer, ServerKind } from './server.js';

export interface ColdRun<T> {
  result: T;
  /** CPU of the server while the work ran. */
  cpuSeconds: number;
  /** What it asked the origin for from its start on. */
  use: OriginUse;
}

export async function coldRun<T>(
  context: BenchContext,
  kind: Pick<ServerKind, 'name' | 'startCold'>,
  latencyMs: number,
  work: (server: RunningServer, dir: string) => Promise<T>,
): Promise<ColdRun<T>> {
  return withDir(context, async (dir) => {
    const mark = await context.origin.mark(latencyMs);
    const server = await kind.startCold(dir, context.origin.url(latencyMs, kind.name, context.full.name));
    try {
      const before = await server.program.cpuSeconds();
      const result = await work(server, dir);
      const cpuSeconds = (await server.program.cpuSeconds()) - before;
      return { result, cpuSeconds, use: await context.origin.use(mark, kind.name) };
    } finally {
      await server.close();
    }
  });
}
