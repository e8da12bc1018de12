/** Exports as the server sees them. `ExportDirectory` is the contract with their owner. */

import type { LatencyHistogram } from '../base/metric.js';
import type { Place } from '../block/place.js';
import type { BlockDevice } from '../device/device.js';
import type { RequestMemory } from './request-memory.js';
import type { SlowestReads } from './slowest-reads.js';

/** Counters of the fast path. They are contained in the export's other counters. */
export interface FastPathMetrics {
  /**
   * One callback per native lane. Calling it adds the requests the lane has answered since the last
   * call; `foldLanes` calls all of them.
   */
  readonly lanes: Set<() => void>;
  reads: number;
  /** Reads that had to wait for this host's disk; contained in `reads`. */
  coldReads: number;
  writes: number;
  /** Requests that native lanes left to JavaScript. */
  handedUp: number;
}

/** Counters of one export over all its connections. Call `foldLanes` before reading them. */
export interface ExportMetrics {
  readonly reads: Record<Place, { count: number; bytes: number; latency: LatencyHistogram }>;
  readonly slowest: SlowestReads;
  writes: number;
  writtenBytes: number;
  readonly writeLatency: LatencyHistogram;
  /** Requests that were answered with an error. */
  errors: number;
  /** Error of the last request that failed at the device. */
  lastError: unknown;
  connections: number;
  readonly fast: FastPathMetrics;
}

export interface Export extends ExportView {
  readonly device: BlockDevice;
  /** Deadline per request, in ms; 0 or absent means none. */
  readonly deadlineMs?: number | undefined;
  readonly metrics: ExportMetrics;
  /**
   * Memory of the export's requests, apart from that of other exports. If absent, the server's
   * shared memory serves.
   */
  readonly memory?: RequestMemory | undefined;
  /** Lets go of the export; called once per connection. */
  release(): void;
}

/** An export as described to a client that only asks. */
export interface ExportView {
  readonly name: string;
  /** Text for people, as `nbdinfo --list` shows it. */
  readonly description: string;
  readonly device: Pick<BlockDevice, 'sizeBytes' | 'blockSize' | 'features'>;
}

/** Identity of a client, as far as the kernel tells. */
export interface ClientIdentity {
  /**
   * `unix:PID:START` for a process, with START from field 22 of /proc/PID/stat. `pidfd:…` for a
   * process whose start time can't be read (`hidden-process.ts`). `tcp:ADDRESS` without the port,
   * or `unknown`.
   */
  key: string;
  /** Text for people and logs. */
  text: string;
}

export interface ExportDirectory {
  /**
   * Lists the exports. The server reads entry by entry, as fast as the client takes them; exports
   * may come and go meanwhile.
   */
  list(): Iterable<{ name: string; description: string }>;
  /** Number of entries of `list`, or a little more. If absent, the server assumes a few. */
  exportCount?(): number;
  /**
   * Describes an export to a client that only asks, and holds nothing. If absent, the server opens
   * the export and lets go of it.
   */
  view?(name: string): Promise<ExportView | undefined>;
  /**
   * Takes hold of an export for one connection; `undefined` if there is none of that name.
   *
   * @throws `ERR_…` if the export exists but can't be opened; the client gets the message
   */
  open(name: string, client: ClientIdentity): Promise<Export | undefined>;
}
