/** What the server needs to know of the exports that it offers. The daemon's catalog implements `ExportDirectory`. */

import type { LatencyHistogram } from '../base/metric.js';
import type { Place } from '../block/place.js';
import type { BlockDevice } from '../device/device.js';
import type { RequestMemory } from './request-memory.js';
import type { SlowestReads } from './slowest-reads.js';

/** What native threads answered of it; contained in the export's other numbers. */
export interface FastPathMetrics {
  /** Of each connection that is on the fast path: adds what it has answered since. `foldLanes` calls them. */
  readonly lanes: Set<() => void>;
  reads: number;
  /** Of the reads, those that had to wait for this host's disk. */
  coldReads: number;
  writes: number;
  /** Requests that were left to JavaScript. */
  handedUp: number;
}

/** Counted by the server, per export, over all its connections. Whoever looks calls `foldLanes` first. */
export interface ExportMetrics {
  readonly reads: Record<Place, { count: number; bytes: number; latency: LatencyHistogram }>;
  readonly slowest: SlowestReads;
  writes: number;
  writtenBytes: number;
  readonly writeLatency: LatencyHistogram;
  /** Requests answered with an error. */
  errors: number;
  /** What the last request that failed at the device failed with. */
  lastError: unknown;
  connections: number;
  readonly fast: FastPathMetrics;
}

export interface Export extends ExportView {
  readonly device: BlockDevice;
  /** Of each request, in milliseconds; 0 or absent waits for ever. */
  readonly deadlineMs?: number | undefined;
  readonly metrics: ExportMetrics;
  /** Where its requests' memory comes from, apart from that of others; absent: the server's, which all such exports share. */
  readonly memory?: RequestMemory | undefined;
  /** To be called once when a connection lets go of the export. */
  release(): void;
}

/** An export as a client is told of it that only asks. */
export interface ExportView {
  readonly name: string;
  /** For people: shown by `nbdinfo --list`. */
  readonly description: string;
  readonly device: Pick<BlockDevice, 'sizeBytes' | 'blockSize' | 'features'>;
}

/** Who is at the other end of a connection, as far as the kernel says. */
export interface ClientIdentity {
  /** `unix:PID:START` (START: field 22 of /proc/PID/stat, which tells two processes of one pid apart), `pidfd:…` where that can't be read (`hidden-process.ts`), `tcp:ADDRESS` without the port, or `unknown`. */
  key: string;
  /** For people and logs. */
  text: string;
}

export interface ExportDirectory {
  /** Read entry by entry, as fast as the client takes them; exports may come and go meanwhile. */
  list(): Iterable<{ name: string; description: string }>;
  /** How many entries `list` has, or a little more; absent: a few. */
  exportCount?(): number;
  /** As `open`, for a client that only asks. Nothing is held. Absent: the export is opened and let go of. */
  view?(name: string): Promise<ExportView | undefined>;
  /**
   * Takes hold of an export for one connection; `undefined` if there is none of that name. May reject (`ERR_…`) when the
   * export exists but can't be opened: the client is told the message.
   */
  open(name: string, client: ClientIdentity): Promise<Export | undefined>;
}
