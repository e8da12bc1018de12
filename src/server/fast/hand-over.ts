/**
 * Hands a connection over to native code after its negotiation, where that can be done: a plain socket, and a device whose files native threads may read.
 *
 * Invariant: not a byte is lost either way. A connection that can't be handed over goes on as it was.
 */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { Clock } from '../../base/clock.js';
import { errorCode, errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import type { FastAccess, FastHold, FastOffer, FastUser } from '../../device/device.js';
import type { ReplyMode } from '../../nbd/codec/constant.js';
import type { ExportMetrics } from '../export.js';
import { LaneCounts } from './lane-counts.js';
import { LaneStream } from './lane-stream.js';

export interface FastPathOptions {
  stream: Duplex;
  /** Of the device; absent: it is not for native threads. */
  access: FastAccess | undefined;
  metrics: ExportMetrics;
  replies: ReplyMode;
  /** What was read from the stream already, behind the handshake. */
  leftover: Buffer;
  clock: Clock;
  log: Logger;
}

/** A connection's transmission phase, as what is done in JavaScript sees it. */
export interface Channel {
  stream: Duplex;
  leftover: Buffer;
  /** On the fast path. */
  hold: FastHold | undefined;
}

/** So long a client that takes nothing of what is sent to it may keep native code from letting go of the files. */
const mostHeldMs = 1000;
/** So long the handshake's last answer may take to leave. */
const handoverMs = 1000;

/** What Node's sockets have, and show nowhere. */
interface SocketHandle {
  fd?: unknown;
  reading?: boolean;
  readStop?(): unknown;
  readStart?(): unknown;
}

export async function handOver(options: FastPathOptions): Promise<Channel> {
  const { stream, access, leftover } = options;
  const asItWas = { stream, leftover, hold: undefined };
  if (access === undefined || !(stream instanceof Socket) || stream instanceof TLSSocket) return asItWas;
  if (!(await hasLeft(stream, options.clock))) return asItWas;
  const { _handle: handle } = stream as Socket & { _handle?: SocketHandle | null };
  if (!isOpen(stream) || typeof handle?.fd !== 'number' || handle.fd < 0) return asItWas;
  if (handle.readStop === undefined || handle.readStart === undefined) return asItWas;
  // From here on nothing is waited for, so that libuv reads nothing in between.
  const early = Buffer.concat([leftover, ...drain(stream)]);
  const wasReading = handle.reading;
  handle.readStop();
  handle.reading = false;
  try {
    const connection = new FastConnection(handle.fd, early, options);
    stream.destroy();
    return { stream: connection.stream, leftover: Buffer.alloc(0), hold: connection.attach(access) };
  } catch (error) {
    options.log.warn(
      { code: errorCode(error), reason: errorMessage(error) },
      'a connection is served without the fast path: it could not be handed over',
    );
    if (wasReading) {
      handle.reading = true;
      handle.readStart();
    }
    return { ...asItWas, leftover: early };
  }
}

/** Nobody has ended it yet, as far as is known. */
function isOpen(socket: Socket): boolean {
  return !socket.destroyed && socket.readable && socket.writable;
}

/** Whether all that was written has left, or does soon. */
async function hasLeft(socket: Socket, clock: Clock): Promise<boolean> {
  if (socket.writableLength === 0) return true;
  return new Promise((resolve) => {
    const settle = (): void => {
      cancel();
      socket.off('close', settle);
      resolve(socket.writableLength === 0);
    };
    const cancel = clock.after(handoverMs, settle);
    socket.once('close', settle);
    // Behind all that was written before.
    socket.write(Buffer.alloc(0), settle);
  });
}

/** What was read from the socket and is not taken yet. */
function drain(socket: Socket): Buffer[] {
  const pieces: Buffer[] = [];
  for (let piece: Buffer | null = socket.read(); piece !== null; piece = socket.read()) pieces.push(piece);
  return pieces;
}

/** A connection on the fast path. */
class FastConnection implements FastUser {
  readonly stream: LaneStream;
  readonly #options: FastPathOptions;
  readonly #counts: LaneCounts;
  #isStopped = false;
  /** Of a revocation that is under way. */
  #onQuiet: (() => void) | undefined;

  constructor(descriptor: number, early: Buffer, options: FastPathOptions) {
    const { replies, metrics } = options;
    this.#options = options;
    this.stream = new LaneStream({
      descriptor,
      replies,
      early,
      onQuiet: () => this.#lookWhetherQuiet(),
      onStopped: () => this.#stopped(),
    });
    this.stream.on('error', () => {});
    this.#counts = new LaneCounts(this.stream.lane, metrics);
  }

  attach(access: FastAccess): FastHold {
    return access.attach(this);
  }

  grant({ overlay, image, writable, lease }: FastOffer): void {
    if (this.#isOver) return;
    try {
      this.stream.lane.grant(overlay, image, writable, lease);
    } catch (error) {
      this.#options.log.error({ err: error }, 'a connection could not be granted what it may answer natively');
    }
  }

  async revoke(): Promise<void> {
    if (this.#isStopped || (!this.#isOver && this.stream.lane.grant(undefined, undefined, false))) return;
    await new Promise<void>((resolve) => {
      // Whoever reads, or waits for a disk, is waited for. What a client that reads nothing has made the kernel hold comes free with its connection.
      const look = (): void => {
        if (this.#isOver) return;
        if (!this.stream.lane.isStalled()) {
          cancel = this.#options.clock.after(mostHeldMs, look);
          return;
        }
        this.#options.log.info('a client does not take its answers, and is in the way: its connection is closed');
        this.stream.lane.shut();
      };
      // What it takes from here on counts.
      if (!this.#isOver) this.stream.lane.isStalled();
      let cancel = this.#options.clock.after(mostHeldMs, look);
      this.#onQuiet = () => {
        cancel();
        resolve();
      };
    });
  }

  /** The lane is being stopped: its end comes by itself, and says so. */
  get #isOver(): boolean {
    return this.stream.destroyed;
  }

  /** An event may be about an earlier grant. */
  #lookWhetherQuiet(): void {
    if (this.stream.lane.isQuiet()) this.#quiet();
  }

  #quiet(): void {
    const onQuiet = this.#onQuiet;
    this.#onQuiet = undefined;
    onQuiet?.();
  }

  #stopped(): void {
    this.#isStopped = true;
    this.#counts.end();
    this.#quiet();
  }
}
