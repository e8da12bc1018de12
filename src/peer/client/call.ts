/**
 * Calls a method of another node: writes the call, reads the answer, and ends the connection. Each
 * call has a connection of its own, which may have been made ahead (`ready-connection.ts`).
 *
 * A caller without an answer does not know if the node has done the call. So every method may be
 * called again with the same effect, and a dead prepared connection costs one more attempt.
 *
 * Invariant: when `callPeer` has settled, its connection is closed or closing.
 *
 * Source: docs/reference/peer-protocol.md, "Calls".
 */
import { unwatchAbort, watchAbort } from '../../base/abort.js';
import { type Clock, systemClock } from '../../base/clock.js';
import { waitFor } from '../../base/deadline.js';
import { CopseError, errorCode } from '../../base/error.js';
import { foreignErrorCode } from '../../base/error-code.js';
import { KiB } from '../../base/size.js';
import { parsePeerAddress } from '../../cluster/address.js';
import { PeerError, type PeerTarget } from '../../cluster/peer.js';
import type { NbdClient } from '../../nbd/client/nbd-client.js';
import { type Answer, answerHeaderBytes, callPageBytes, decodeAnswer, decodeAnswerHeader, encodeCall } from '../wire/call-page.js';
import { formatPeerExport } from '../wire/export-name.js';
import { connectToPeer, type PeerConnectOptions } from './connect.js';
import { connectError, requestError } from './failure.js';
import type { ReadyConnections } from './ready-connection.js';
import { TargetSink } from './target-sink.js';

export interface CallOptions {
  /** Timeout of the whole call, in ms; 0 means none. Default 30 000. */
  timeoutMs?: number | undefined;
  /** Timeout of connecting and handshake together, in ms. Default 2000. */
  connectTimeoutMs?: number | undefined;
  /** Ends the wait with `ERR_ABORTED`. The other node may do the call all the same. */
  signal?: AbortSignal | undefined;
  clock?: Clock | undefined;
  /** Prepared connections, of which the call takes one to `callExport(selfId)`. */
  ready?: ReadyConnections | undefined;
  /** Id of this node. The other node compares it with the address of the connection. */
  selfId?: string | undefined;
}

/** Name of the export `call`, for `ReadyConnections`. @param selfId id of the calling node */
export function callExport(selfId?: string): string {
  return formatPeerExport({ kind: 'call', from: selfId });
}

/** Bytes of the answer that the first read fetches. Most answers are shorter. */
const shortAnswerBytes = 4 * KiB;

/** The other node answered with an error. The code is that of the method there. */
export class PeerCallError extends CopseError {
  readonly peerId: string;

  constructor(peerId: string, code: string, message: string) {
    super(foreignErrorCode(code), `node ${peerId}: ${message}`);
    this.peerId = peerId;
  }
}

/**
 * @param argument a value that JSON knows, of at most 64 KiB
 * @returns the result, parsed from JSON and not checked: a stranger's word
 * @throws PeerCallError, also `ERR_NO_SUCH_METHOD` for a node that knows no calls; PeerError
 *   `ERR_PEER_GONE` (the call may be done or not), `ERR_PEER_LIED`, `ERR_PEER_REFUSED`;
 *   CopseError `ERR_CALL_TOO_LARGE`, `ERR_ABORTED`
 */
export async function callPeer(peer: PeerTarget, method: string, argument: unknown, options: CallOptions = {}): Promise<unknown> {
  const { timeoutMs = 30_000, connectTimeoutMs = 2000, signal, clock = systemClock, ready, selfId } = options;
  const exportName = callExport(selfId);
  const request = encodeCall({ method, argument });
  // A timeout or an abort ends the wait alone. This ends the connection, too.
  const end = new AbortController();
  const what = `${method} at node ${peer.id}`;
  let answer: Answer;
  try {
    const prepared = ready?.take(peer, exportName);
    const talk = (client: NbdClient): Promise<Answer> => converse(client, peer, what, request, end.signal);
    const conversation = async (): Promise<Answer> => {
      if (prepared !== undefined) {
        try {
          return await talk(prepared);
        } catch (error) {
          // A prepared connection may have been dead for long.
          if (errorCode(error) !== 'ERR_PEER_GONE' || end.signal.aborted) throw error;
        }
      }
      return talk(await connect(peer, exportName, what, { timeoutMs: connectTimeoutMs, signal: end.signal, clock }));
    };
    answer = await waitFor(what, conversation(), { timeoutMs, signal, clock });
  } catch (error) {
    if (errorCode(error) !== 'ERR_DEADLINE') throw error;
    throw new PeerError('ERR_PEER_GONE', peer.id, `${method}: no answer in time`, { cause: error });
  } finally {
    end.abort();
  }
  if ('error' in answer) throw new PeerCallError(peer.id, answer.error.code, answer.error.message);
  return answer.result;
}

async function converse(client: NbdClient, peer: PeerTarget, what: string, request: Buffer, signal: AbortSignal): Promise<Answer> {
  const onAbort = (): void => client.destroy();
  watchAbort(signal, onAbort);
  try {
    if (signal.aborted) onAbort();
    if (client.sizeBytes !== callPageBytes)
      throw lied(peer, `${what}: the export has ${client.sizeBytes} bytes there and ${callPageBytes} here`);
    await client.write(request, 0);
    const begin = await read(client, 0, answerHeaderBytes + shortAnswerBytes);
    const lengthBytes = decodeAnswerHeader(begin.subarray(0, answerHeaderBytes));
    if (lengthBytes <= shortAnswerBytes) return decodeAnswer(begin.subarray(answerHeaderBytes, answerHeaderBytes + lengthBytes));
    const rest = await read(client, begin.length, lengthBytes - shortAnswerBytes);
    return decodeAnswer(Buffer.concat([begin.subarray(answerHeaderBytes), rest]));
  } catch (error) {
    if (errorCode(error) === 'ERR_CALL') throw lied(peer, what, error);
    throw requestError(peer.id, 'call', what, error);
  } finally {
    unwatchAbort(signal, onAbort);
    client.destroy();
  }
}

async function connect(
  peer: PeerTarget,
  exportName: string,
  what: string,
  options: Omit<PeerConnectOptions, 'exportName'>,
): Promise<NbdClient> {
  const address = parsePeerAddress(peer.address);
  try {
    return await connectToPeer(address, { ...options, exportName });
  } catch (error) {
    if (errorCode(error) === 'ERR_NBD_UNKNOWN_EXPORT')
      throw new PeerCallError(peer.id, 'ERR_NO_SUCH_METHOD', 'it answers no calls: upgrade it');
    throw connectError(peer.id, what, error);
  }
}

async function read(client: NbdClient, offset: number, lengthBytes: number): Promise<Buffer> {
  const bytes = Buffer.alloc(lengthBytes);
  await client.read(offset, lengthBytes, new TargetSink(bytes, offset));
  return bytes;
}

function lied(peer: PeerTarget, message: string, cause?: unknown): PeerError {
  return new PeerError('ERR_PEER_LIED', peer.id, message, { cause });
}
