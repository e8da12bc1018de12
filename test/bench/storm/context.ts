/** What every case of the storm is given. */
import type { Lab } from '../../lab/lab.js';
import type { ImageFile } from '../harness/image-file.js';
import type { Extra } from '../harness/report.js';
import type { Trace } from '../harness/trace.js';
import type { FarOrigin } from './lab/origin.js';
import type { ExpectedContent } from './lab/replay-guest.js';

export interface StormContext {
  rounds: number;
  /** Hosts that start together, for cases that vary them. */
  hostCounts: readonly number[];
  /** On a real file system. Everything in it goes when the bench ends. */
  workDir: string;
  lab: Lab;
  origin: FarOrigin;
  image: ImageFile;
  trace: Trace;
  /** Of the trace's reads. */
  expected: ExpectedContent;
  /** The image's. */
  chunkBytes: number;
  /** Chunks that the trace touches. */
  touched: ReadonlySet<number>;
  /** For people who wait. */
  say(text: string): void;
  /** All that was measured, for the JSON. */
  keep(name: string, sample: unknown): void;
}

export interface StormRow {
  work: string;
  measured: string;
  wanted: string;
  /** undefined: reported only. */
  met?: boolean | undefined;
}

export interface StormResult {
  rows: StormRow[];
  extras?: Extra[];
}

export interface StormCase {
  /** As `--case` takes it. */
  name: string;
  run(context: StormContext): Promise<StormResult>;
}
