/** Connects and negotiates under one deadline, and leaves nothing open on failure. */
import type { Socket } from 'node:net';
import { waitFor } from '../../base/deadline.js';
import type { ReplyMode } from '../codec/constant.js';
import { NbdDisconnectedError } from '../codec/error.js';
import type { ExportEntry } from '../codec/option.js';
import { formatNbdUri, type NbdUri } from '../codec/uri.js';
import { HandshakeChannel } from '../server/handshake-channel.js';
import type { NbdAgreement, NbdExportInfo } from './contract.js';
import { dial, type NbdTarget, resolveTarget } from './dial.js';
import { ClientNegotiation } from './negotiation.js';

/** Bound on the bytes of a server's handshake: a list of a hundred thousand exports. */
const MAX_HANDSHAKE_BYTES = 32 * 1024 * 1024;
const MAX_LIST_COUNT = 100_000;

export const DEFAULT_TIMEOUT_MS = 30_000;

export interface HandshakeLimits {
  signal?: AbortSignal | undefined;
  /** Timeout for connecting and the handshake together, in ms. Default 30 000; 0 means none. */
  timeoutMs?: number | undefined;
  /** See `NbdConnectOptions`. */
  userTimeoutMs?: number | undefined;
}

/** A socket in transmission. */
export interface Attached {
  socket: Socket;
  agreement: NbdAgreement;
  /** Bytes that came behind the handshake. A server has nothing to send yet, but it may. */
  leftover: Buffer;
}

/**
 * Attaches to an export.
 *
 * @throws NbdRefusedError, NbdProtocolError, NbdDisconnectedError, `ERR_DEADLINE`, `ERR_ABORTED`
 */
export async function attach(uri: NbdUri, contexts: readonly string[], best: ReplyMode, limits: HandshakeLimits): Promise<Attached> {
  const { socket, result, leftover } = await converse(uri, limits, async (negotiation) => {
    const replies = await negotiation.replies(best);
    const granted = await negotiation.contexts(uri.exportName, contexts, replies);
    return negotiation.go(uri.exportName, replies, granted);
  });
  return { socket, agreement: result, leftover };
}

/** Lists the exports of a server. Rejects as `attach`. */
export async function listExports(target: NbdTarget, limits: HandshakeLimits = {}): Promise<ExportEntry[]> {
  return visit(resolveTarget(target, undefined), limits, (negotiation) => negotiation.list(MAX_LIST_COUNT));
}

/** Asks a server about an export, without attaching to it. Rejects as `attach`. */
export async function describeExport(
  target: NbdTarget,
  options: HandshakeLimits & { exportName?: string | undefined } = {},
): Promise<NbdExportInfo> {
  const uri = resolveTarget(target, options.exportName);
  return visit(uri, options, async (negotiation) => {
    // Flags depend on the reply mode, so it is negotiated as for attaching.
    await negotiation.replies('extended');
    return negotiation.info(uri.exportName);
  });
}

async function visit<T>(uri: NbdUri, limits: HandshakeLimits, work: (negotiation: ClientNegotiation) => Promise<T>): Promise<T> {
  const { socket, result } = await converse(uri, limits, async (negotiation) => {
    const answer = await work(negotiation);
    await negotiation.abort().catch(() => {});
    return answer;
  });
  socket.resume();
  socket.end();
  // A server that never closes its side must not keep the process.
  socket.setTimeout(1000, () => socket.destroy());
  socket.unref();
  return result;
}

async function converse<T>(
  uri: NbdUri,
  limits: HandshakeLimits,
  work: (negotiation: ClientNegotiation) => Promise<T>,
): Promise<{ socket: Socket; result: T; leftover: Buffer }> {
  const end = new AbortController();
  let open: { socket: Socket; channel: HandshakeChannel } | undefined;
  const all = async (): Promise<{ socket: Socket; result: T; leftover: Buffer }> => {
    const socket = await dial(uri, end.signal, limits.userTimeoutMs);
    const channel = new HandshakeChannel(socket, 'server', MAX_HANDSHAKE_BYTES);
    open = { socket, channel };
    const negotiation = new ClientNegotiation(channel);
    await negotiation.greet();
    const result = await work(negotiation);
    end.signal.throwIfAborted();
    return { socket, result, leftover: channel.release() };
  };
  try {
    const what = `NBD handshake with ${formatNbdUri(uri)}`;
    return await waitFor(what, all(), { timeoutMs: limits.timeoutMs ?? DEFAULT_TIMEOUT_MS, signal: limits.signal });
  } catch (error) {
    end.abort();
    open?.channel.fail(new NbdDisconnectedError('handshake was given up'));
    open?.channel.release();
    open?.socket.destroy();
    throw error;
  }
}
