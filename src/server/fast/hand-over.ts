/**
 * Hands a connection over to a native lane after its negotiation. That needs a plain socket, and a
 * device whose files native threads may read.
 *
 * Invariant: no byte is lost. A connection that can't be handed over goes on as it was.
 */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { Clock } from '../../base/clock.js';
import { errorCode, errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import type { FastAccess, FastHold } from '../../device/device.js';
import type { ReplyMode } from '../../nbd/codec/constant.js';
import type { ExportMetrics } from '../export.js';
import { LaneUser } from './lane-user.js';

export interface FastPathOptions {
  stream: Duplex;
  /** Access to the device's files; absent if native threads may not read them. */
  access: FastAccess | undefined;
  metrics: ExportMetrics;
  replies: ReplyMode;
  /** Bytes that were read from the stream behind the handshake. */
  leftover: Buffer;
  clock: Clock;
  log: Logger;
}

/** Input and output of a connection's transmission phase in JavaScript. */
export interface Channel {
  stream: Duplex;
  leftover: Buffer;
  /** Hold of the lane on the device's files; absent without the fast path. */
  hold: FastHold | undefined;
}

/** Bound on the wait for the handshake's last answer to leave, in ms. */
const handoverMs = 1000;

/** Internal handle of a socket in Node.js, which has no documented type. */
interface SocketHandle {
  fd?: unknown;
  reading?: boolean;
  readStop?(): unknown;
  readStart?(): unknown;
}

/**
 * Resolves to the lane's stream, or to the connection as it was. Input that arrived before the
 * hand-over comes from the returned stream or `leftover`.
 */
export async function handOver(options: FastPathOptions): Promise<Channel> {
  const { stream, access, leftover } = options;
  const asItWas = { stream, leftover, hold: undefined };
  if (access === undefined || !(stream instanceof Socket) || stream instanceof TLSSocket) return asItWas;
  if (!(await hasLeft(stream, options.clock))) return asItWas;
  const { _handle: handle } = stream as Socket & { _handle?: SocketHandle | null };
  if (!isOpen(stream) || typeof handle?.fd !== 'number' || handle.fd < 0) return asItWas;
  if (handle.readStop === undefined || handle.readStart === undefined) return asItWas;
  // No await from here on, so that libuv reads nothing in between.
  const early = Buffer.concat([leftover, ...drain(stream)]);
  const wasReading = handle.reading;
  handle.readStop();
  handle.reading = false;
  try {
    const connection = new LaneUser(handle.fd, early, options);
    stream.destroy();
    return { stream: connection.stream, leftover: Buffer.alloc(0), hold: connection.attach(access) };
  } catch (error) {
    options.log.warn(
      { code: errorCode(error), reason: errorMessage(error) },
      'a connection could not be handed over to a native lane: it is served without the fast path',
    );
    if (wasReading) {
      handle.reading = true;
      handle.readStart();
    }
    return { ...asItWas, leftover: early };
  }
}

/** True unless one of the two sides has ended the connection. */
function isOpen(socket: Socket): boolean {
  return !socket.destroyed && socket.readable && socket.writable;
}

/** Resolves to true once all bytes that were written have left; to false after a second. */
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
    // This write completes after all earlier ones.
    socket.write(Buffer.alloc(0), settle);
  });
}

/** Returns the bytes that Node.js has read from the socket and not delivered. */
function drain(socket: Socket): Buffer[] {
  const pieces: Buffer[] = [];
  for (let piece: Buffer | null = socket.read(); piece !== null; piece = socket.read()) pieces.push(piece);
  return pieces;
}
