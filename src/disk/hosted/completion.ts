/**
 * Brings the blocks that a disk left on its former owners to this node, and then releases those
 * nodes. Requests of guests go first.
 *
 * Blocks come in batches. Each batch is written through before the next begins, so a guest's flush
 * finds little to write. While guests send requests, the completion rests between two batches.
 *
 * Invariant: a node is released only after every block of the disk is here and durable.
 */
import type { Clock } from '../../base/clock.js';
import { waitFor } from '../../base/deadline.js';
import { errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import { BlockState } from '../../base/native/overlay.js';
import { pause } from '../../base/pause.js';
import { KiB, MiB } from '../../base/size.js';
import type { ExportMetrics } from '../../server/export.js';
import { foldLanes } from '../../server/export-metrics.js';
import type { NodeRef } from '../protocol/record.js';
import type { HostedDisk } from './hosted-disk.js';

/** Number of requests of guests so far, with those that native threads have answered. */
export function requestCountOf(metrics: ExportMetrics): number {
  const { writes, reads } = foldLanes(metrics);
  return writes + reads.cache.count + reads.peer.count + reads.origin.count;
}

export interface CompletionOptions {
  hosted: HostedDisk;
  /**
   * Tells the node that its blocks are not needed any more, and forgets the node durably. Rejects
   * if the node does not answer.
   */
  release(index: string, node: NodeRef): Promise<void>;
  /** Number of requests of guests so far. */
  requestCount(): number;
  clock: Clock;
  log: Logger;
}

/** Length of one request, in bytes; `pieceCount` of them are under way at once. */
const pieceBytes = 512 * KiB;
const pieceCount = 4;
const batchBytes = 16 * MiB;
const maxRestMs = 50;
const retryMs = 1000;
const maxRuns = 4096;

interface Batch {
  bytes: number;
  readonly startMs: number;
  /** Number of requests of guests when the batch began. */
  readonly requestCount: number;
}

export class Completion {
  readonly #options: CompletionOptions;
  readonly #end = new AbortController();
  #running: Promise<void> | undefined;
  /** Reasons why nodes do not give their blocks, by node id. */
  readonly trouble = new Map<string, string>();

  constructor(options: CompletionOptions) {
    this.#options = options;
  }

  /** @param delayMs delay before the first request, in ms */
  start(delayMs = 0): void {
    this.#running ??= this.#run(delayMs).catch((error: unknown) => {
      this.#options.log.error(
        { disk: this.#options.hosted.record.name, reason: errorMessage(error) },
        'bringing the rest of the disk has ended',
      );
    });
  }

  /** Resolves when no request is under way. */
  async stop(): Promise<void> {
    this.#end.abort();
    await this.#running;
  }

  async #run(delayMs: number): Promise<void> {
    const { hosted, clock, log } = this.#options;
    const { name } = hosted.record;
    if (delayMs > 0) await pause(clock, delayMs, this.#end.signal);
    const before = hosted.overlay.remoteBytes;
    while (!this.#end.signal.aborted) {
      await this.#pull();
      if (this.#end.signal.aborted) return;
      if (hosted.overlay.remoteBytes === 0) {
        await hosted.disk.flush();
        // The disk may have been handed on meanwhile. Then its next owner releases the nodes.
        if (this.#end.signal.aborted) return;
        if (await this.#release()) {
          log.info({ disk: name, bytes: before }, 'all of the disk is on this node');
          return;
        }
      }
      await pause(clock, retryMs, this.#end.signal);
    }
  }

  /** One pass over the map. Blocks that can't be had are left for the next pass. */
  async #pull(): Promise<void> {
    const { overlay } = this.#options.hosted;
    const { signal } = this.#end;
    const underWay = new Set<Promise<void>>();
    const failed = new Set<number>();
    let batch = this.#batch();
    for (let at = 0; at < overlay.sizeBytes && overlay.remoteBytes > 0 && !signal.aborted; ) {
      const runs = overlay.runs(at, overlay.sizeBytes - at, maxRuns);
      for (let index = 0; index + 2 < runs.length; index += 3) {
        const lengthBytes = runs[index + 2] ?? 0;
        const node = runs[index + 1] ?? 0;
        if (runs[index] === BlockState.remote && !failed.has(node)) {
          for (let piece = at; piece < at + lengthBytes && !signal.aborted && !failed.has(node); piece += pieceBytes) {
            while (underWay.size >= pieceCount) await Promise.race(underWay);
            if (batch.bytes >= batchBytes) {
              await Promise.all(underWay);
              await this.#rest(batch);
              batch = this.#batch();
              if (signal.aborted) break;
            }
            const pieceLength = Math.min(pieceBytes, at + lengthBytes - piece);
            batch.bytes += pieceLength;
            const work: Promise<void> = this.#bring(node, piece, pieceLength)
              .catch((error: unknown) => this.#failed(node, failed, error))
              .finally(() => underWay.delete(work));
            underWay.add(work);
          }
        }
        at += lengthBytes;
      }
    }
    await Promise.all(underWay);
  }

  #batch(): Batch {
    return { bytes: 0, startMs: this.#options.clock.nowMs(), requestCount: this.#options.requestCount() };
  }

  async #rest({ startMs, requestCount }: Batch): Promise<void> {
    const { hosted, clock } = this.#options;
    // A guest's flush fails by the same error, and so does the flush before the release.
    await hosted.disk.flush().catch(() => {});
    if (this.#options.requestCount() === requestCount) return;
    await pause(clock, Math.min(maxRestMs, clock.nowMs() - startMs), this.#end.signal);
  }

  async #bring(node: number, offset: number, lengthBytes: number): Promise<void> {
    const { hosted } = this.#options;
    const buffer = Buffer.allocUnsafe(lengthBytes);
    await hosted.fetch(node, buffer, offset, this.#end.signal);
    await hosted.overlay.fill(buffer, 0, lengthBytes, offset);
    const { id } = hosted.state.nodes[node] ?? {};
    if (id !== undefined) this.trouble.delete(id);
  }

  #failed(node: number, failed: Set<number>, error: unknown): void {
    if (this.#end.signal.aborted || failed.has(node)) return;
    failed.add(node);
    const { hosted, log } = this.#options;
    const id = hosted.state.nodes[node]?.id ?? String(node);
    if (!this.trouble.has(id)) {
      log.warn(
        { disk: hosted.record.name, node: id, reason: errorMessage(error) },
        'blocks of the disk that only this node has do not come: they are asked for again',
      );
    }
    this.trouble.set(id, errorMessage(error));
  }

  /** @returns false if some node could not be told */
  async #release(): Promise<boolean> {
    const { hosted, release } = this.#options;
    for (const [index, node] of Object.entries(hosted.state.nodes)) {
      try {
        // A stop does not wait for a node that does not answer. That node is told again later.
        await waitFor('the release', release(index, node), { signal: this.#end.signal });
      } catch (error) {
        if (this.#end.signal.aborted) return false;
        this.trouble.set(node.id, `it could not be told to remove its copy: ${errorMessage(error)}`);
        continue;
      }
      this.trouble.delete(node.id);
      if (this.#end.signal.aborted) return false;
    }
    return Object.keys(hosted.state.nodes).length === 0;
  }
}
