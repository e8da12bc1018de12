/**
 * Brings the blocks that a disk left on its former owners to this node, behind all demand, and releases those nodes when nothing of theirs is needed any more.
 *
 * It comes in batches, each written through before the next: what a guest's flush finds to be written is little. While guests ask for something it rests a moment between.
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

/** Of guests, those included that native threads have answered. Grows with each. */
export function requestCountOf(metrics: ExportMetrics): number {
  const { writes, reads } = foldLanes(metrics);
  return writes + reads.cache.count + reads.peer.count + reads.origin.count;
}

export interface CompletionOptions {
  hosted: HostedDisk;
  /** Tells the node that its blocks are not needed any more, and forgets it, durably. Rejects when it was not heard. */
  release(index: string, node: NodeRef): Promise<void>;
  /** Grows with each request of a guest. */
  requestCount(): number;
  clock: Clock;
  log: Logger;
}

/** Of one request; several are under way at once. */
const pieceBytes = 512 * KiB;
const pieceCount = 4;
const batchBytes = 16 * MiB;
const maxRestMs = 50;
const retryMs = 1000;
const maxRuns = 4096;

interface Batch {
  bytes: number;
  readonly startMs: number;
  /** Of guests, by then. */
  readonly requestCount: number;
}

export class Completion {
  readonly #options: CompletionOptions;
  readonly #end = new AbortController();
  #running: Promise<void> | undefined;
  /** Why nodes do not give their blocks, by id. */
  readonly trouble = new Map<string, string>();

  constructor(options: CompletionOptions) {
    this.#options = options;
  }

  /** @param delayMs before it begins */
  start(delayMs = 0): void {
    this.#running ??= this.#run(delayMs).catch((error: unknown) => {
      this.#options.log.error(
        { disk: this.#options.hosted.record.name, reason: errorMessage(error) },
        'bringing the rest of the disk has ended',
      );
    });
  }

  /** Resolves when nothing of it is under way. */
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
        // It may have been handed on meanwhile: its next owner releases.
        if (this.#end.signal.aborted) return;
        if (await this.#release()) {
          log.info({ disk: name, bytes: before }, 'all of the disk is on this node');
          return;
        }
      }
      await pause(clock, retryMs, this.#end.signal);
    }
  }

  /** One pass over the map; what fails is left for the next. */
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
    // What fails here fails for the guest's flush, too, and before anybody is released.
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

  /** `false`: some node could not be told. */
  async #release(): Promise<boolean> {
    const { hosted, release } = this.#options;
    for (const [index, node] of Object.entries(hosted.state.nodes)) {
      try {
        // A stop does not wait for a node that does not answer: the node is told again.
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
