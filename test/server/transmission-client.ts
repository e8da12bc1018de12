/** The other end of a Transmission in memory: sends requests with structured replies agreed on, and keeps what comes back. */
import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Clock, systemClock } from '../../src/base/clock.js';
import type { BlockDevice } from '../../src/device/device.js';
import { Command } from '../../src/nbd/codec/constant.js';
import { putCompactRequest } from '../../src/nbd/codec/frame.js';
import { emptyReplyHeader, parseReplyHeader } from '../../src/nbd/codec/reply.js';
import type { ExportMetrics } from '../../src/server/export.js';
import { createExportMetrics } from '../../src/server/export-metrics.js';
import { RequestMemory } from '../../src/server/request-memory.js';
import { Transmission, type TransmissionLimits } from '../../src/server/transmission.js';
import { streamPair } from './stream-pair.js';

export interface Answer {
  cookie: number;
  type: number;
  /** Of the chunk, without its offset where it is data. */
  data: Buffer;
}

export interface Harness {
  client: Client;
  transmission: Transmission;
  /** As `run` of the transmission settles. */
  done: Promise<void>;
  isDone(): boolean;
  memory: RequestMemory;
  metrics: ExportMetrics;
  /** The server's end. */
  serverStream: Duplex;
}

export function transmit(
  device: BlockDevice,
  options: { limits?: Partial<TransmissionLimits>; memory?: RequestMemory; leftover?: Buffer; bufferBytes?: number; clock?: Clock } = {},
): Harness {
  const { memory = new RequestMemory(2 ** 29), leftover = Buffer.alloc(0), limits = {}, bufferBytes } = options;
  const [stream, far] = streamPair(bufferBytes);
  const metrics = createExportMetrics();
  const transmission = new Transmission({
    stream,
    device,
    metrics,
    replies: 'structured',
    contexts: new Map([['base:allocation', 1]]),
    leftover,
    memory,
    limits: { requests: 64, bytes: 2 ** 26, ...limits },
    deadlineMs: 0,
    clock: options.clock ?? systemClock,
    onFailure: () => {},
  });
  let over = false;
  const done = transmission.run().finally(() => {
    over = true;
  });
  done.catch(() => {});
  return { client: new Client(far), transmission, done, isDone: () => over, memory, metrics, serverStream: stream };
}

export function encodeRequest(cookie: number, type: number, offset: number, lengthBytes: number, flags = 0): Buffer {
  const header = Buffer.alloc(28);
  putCompactRequest(header, 0, { type, flags, offset, lengthBytes, cookieHigh: 0, cookieLow: cookie });
  return header;
}

export class Client {
  readonly stream: Duplex;
  readonly answers: Answer[] = [];
  #bytes = Buffer.alloc(0);
  #watchers: { count: number; resolve: () => void }[] = [];

  constructor(stream: Duplex) {
    this.stream = stream;
    stream.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#parse();
    });
  }

  send(...parts: Buffer[]): void {
    this.stream.write(Buffer.concat(parts));
  }

  read(cookie: number, offset: number, lengthBytes: number): void {
    this.send(encodeRequest(cookie, Command.READ, offset, lengthBytes));
  }

  get cookies(): number[] {
    return this.answers.map(({ cookie }) => cookie);
  }

  answerTo(cookie: number): Answer {
    const answer = this.answers.find((other) => other.cookie === cookie);
    if (answer === undefined) throw new Error(`no answer to ${cookie}`);
    return answer;
  }

  /** Resolves once `count` answers are there. */
  answered(count: number): Promise<void> {
    if (this.answers.length >= count) return Promise.resolve();
    return new Promise((resolve) => this.#watchers.push({ count, resolve }));
  }

  #parse(): void {
    while (this.#bytes.length >= 20) {
      const header = emptyReplyHeader();
      parseReplyHeader(this.#bytes, 0, header);
      if (this.#bytes.length < 20 + header.payloadBytes) return;
      const payload = this.#bytes.subarray(20, 20 + header.payloadBytes);
      this.answers.push({ cookie: header.cookieLow, type: header.type, data: header.type === 1 ? payload.subarray(8) : payload });
      this.#bytes = this.#bytes.subarray(20 + header.payloadBytes);
    }
    for (const watcher of this.#watchers.splice(0)) {
      if (this.answers.length >= watcher.count) watcher.resolve();
      else this.#watchers.push(watcher);
    }
  }
}

/** Long enough for everything that is ready to happen in this process. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await nextTurn();
}
