/**
 * Serves one client from accept to close: negotiation, transmission, and one log line about the
 * end.
 */
import type { Duplex } from 'node:stream';
import { type Clock, systemClock } from '../base/clock.js';
import { errorCode, errorMessage } from '../base/error.js';
import type { Logger } from '../base/log.js';
import type { FastHold } from '../device/device.js';
import { type ExportFacts, type HandshakeDirectory, negotiate, type Session } from '../nbd/server/handshake.js';
import type { ClientIdentity, Export, ExportDirectory, ExportView } from './export.js';
import type { FailureLog } from './failure-log.js';
import { handOver } from './fast/hand-over.js';
import type { RequestMemory } from './request-memory.js';
import { Transmission, type TransmissionLimits } from './transmission.js';
import { transmissionFlags } from './transmission-flag.js';

export interface ConnectionOptions {
  stream: Duplex;
  client: ClientIdentity;
  directory: ExportDirectory;
  memory: RequestMemory;
  limits: TransmissionLimits;
  failures: FailureLog;
  handshakeTimeoutMs: number;
  log: Logger;
  clock?: Clock;
  /** True if a native lane may serve the client where that is possible. */
  fastPath: boolean;
}

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #ended = new AbortController();
  #transmission: Transmission | undefined;
  #stream: Duplex;
  /** Hold of the lane on the device's files; absent without the fast path. */
  #hold: FastHold | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#stream = options.stream;
    // Without a listener a socket error would end the process. The connection learns of it by
    // `close`.
    options.stream.on('error', () => {});
  }

  /** Serves the client until it leaves. The stream is closed when it resolves. Never rejects. */
  async serve(): Promise<void> {
    const { client, log } = this.#options;
    try {
      await this.#serve();
      await endHard(this.#stream);
    } catch (error) {
      const garbage = errorCode(error) === 'ERR_NBD_PROTOCOL';
      log[garbage ? 'warn' : 'debug'](
        { peer: client.text, code: errorCode(error), reason: errorMessage(error) },
        'connection ended by an error',
      );
      this.#stream.destroy();
      await closed(this.#stream);
    }
  }

  /**
   * Answers the requests under way and begins no further one. A client that still negotiates is cut
   * off.
   */
  drain(): void {
    if (this.#transmission === undefined) this.#ended.abort();
    else this.#drain(this.#transmission);
  }

  /** Closes the connection at once. */
  destroy(): void {
    this.#ended.abort();
    this.#stream.destroy();
  }

  #drain(transmission: Transmission): void {
    void this.#hold?.release();
    transmission.drain();
  }

  async #serve(): Promise<void> {
    const { stream, directory, handshakeTimeoutMs, clock = systemClock, log, client } = this.#options;
    const session = await negotiate(stream, handshakeDirectory(directory, client), {
      timeoutMs: handshakeTimeoutMs,
      clock,
      signal: this.#ended.signal,
    });
    if (session === undefined) return;
    const { value: opened } = session.export;
    const { metrics } = opened;
    metrics.connections += 1;
    log.info({ peer: client.text, export: opened.name, replies: session.replies }, 'attached');
    try {
      const transmission = await this.#transmit(session);
      await transmission.run();
    } finally {
      // The lane answers what it has begun. Afterwards it uses no file of the export.
      await this.#hold?.release();
      metrics.connections -= 1;
      session.export.release();
      log.info({ peer: client.text, export: opened.name }, 'detached');
    }
  }

  async #transmit({ export: { value: opened }, replies, contexts, leftover }: Session<Export>): Promise<Transmission> {
    const { clock = systemClock, log, memory, limits, fastPath } = this.#options;
    const { device, metrics } = opened;
    const access = fastPath ? device.fast : undefined;
    const channel = await handOver({ stream: this.#stream, access, metrics, replies, leftover, clock, log });
    this.#stream = channel.stream;
    this.#hold = channel.hold;
    const transmission = new Transmission({
      stream: channel.stream,
      device,
      metrics,
      replies,
      contexts,
      leftover: channel.leftover,
      memory: opened.memory ?? memory,
      limits,
      deadlineMs: opened.deadlineMs ?? 0,
      clock,
      onFailure: (request, error) => this.#options.failures.add(opened.name, request, error),
    });
    this.#transmission = transmission;
    if (this.#ended.signal.aborted) this.#drain(transmission);
    return transmission;
  }
}

/** Closes a stream once all bytes are sent, even if the client keeps its side open. */
function endHard(stream: Duplex): Promise<void> {
  stream.end(() => stream.destroy());
  return closed(stream);
}

function closed(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    if (stream.closed) resolve();
    else stream.once('close', resolve);
  });
}

function handshakeDirectory(directory: ExportDirectory, client: ClientIdentity): HandshakeDirectory<Export> {
  return {
    list: () => directory.list(),
    exportCount: () => directory.exportCount?.() ?? 0,
    open: async (name) => {
      const opened = await directory.open(name, client);
      return opened && { ...factsOf(opened), value: opened, release: () => opened.release() };
    },
    describe: directory.view && (async (name) => viewOf(await directory.view?.(name))),
  };
}

function viewOf(view: ExportView | undefined): ExportFacts | undefined {
  return view && factsOf(view);
}

function factsOf({ name, description, device }: ExportView): ExportFacts {
  const { sizeBytes, blockSize, features } = device;
  return { name, description, sizeBytes, blockSize, transmissionFlags: transmissionFlags(features) };
}
