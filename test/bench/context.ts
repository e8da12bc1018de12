/** What every case is given. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageFile } from './harness/image-file.js';
import type { HttpOrigin } from './harness/origin.js';
import type { CaseResult } from './harness/report.js';
import type { TraceName } from './harness/trace.js';

export interface BenchContext {
  /** Rounds of a comparison. */
  pairs: number;
  /** Shorter runs: to see that all works, not for figures. */
  quick: boolean;
  /** Boots to replay; undefined: the case's own choice. */
  traces: readonly TraceName[] | undefined;
  /** Origin latencies of replays. */
  latenciesMs: readonly number[];
  /** On a real file system. Everything in it goes when the bench ends. */
  workDir: string;
  origin: HttpOrigin;
  /** Served by the origin, all data. */
  full: ImageFile;
  /** Served by the origin, nearly all holes. */
  sparse: ImageFile;
  /** For people who wait. */
  progress(text: string): void;
}

export interface BenchCase {
  /** As `--only` takes it. */
  name: string;
  /** Run only when it is asked for by name. */
  onRequest?: boolean;
  /** Section of docs with its rows (`harness/publish.ts`). Default: `measured`. */
  section?: 'disk' | 'fast';
  run(context: BenchContext): Promise<CaseResult>;
}

/** Latencies per request that the origin is run with. */
export const originLatenciesMs = [1, 10, 50] as const;

/** Gives `use` a directory of its own, removed afterwards. Names are short: unix sockets lie in it, and their paths end at 107 bytes. */
export async function withDir<T>(context: BenchContext, use: (dir: string) => Promise<T>): Promise<T> {
  await mkdir(context.workDir, { recursive: true });
  const dir = await mkdtemp(join(context.workDir, 'd'));
  try {
    return await use(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
