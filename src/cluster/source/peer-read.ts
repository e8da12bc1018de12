/**
 * One read from one peer: counted, measured, verified, its end reported to the trust in the peer.
 * If the connection went silent, it asks again, once, on a new one: the peer may be well, and at
 * work on the answer.
 *
 * Invariant: the sink gets whole chunks that are right as far as this node can tell. After a
 * failure they are there and need not be asked for again.
 */

import type { Clock } from '../../base/clock.js';
import { errorCode } from '../../base/error.js';
import type { RangeSink } from '../../block/sink.js';
import type { ChunkVerifier } from '../../manifest/verifier.js';
import { VerifyingSink } from '../../manifest/verifying-sink.js';
import { CountingSink } from '../../origin/sink.js';
import type { ClusterMetrics } from '../cluster-metrics.js';
import type { Peer, PeerContent, PeerRequestOptions } from '../peer.js';
import { silenceOf } from '../peer.js';
import type { Admission, Trust } from '../trust.js';
import { wholeChunks } from './whole-chunks.js';

export interface PeerReadContext {
  content: PeerContent;
  trust: Trust;
  metrics: ClusterMetrics;
  /** Verifier of a sealed image. */
  verifier: ChunkVerifier | undefined;
  clock: Clock;
}

export type PeerReadMethod = 'readHome' | 'readHeld';

interface Range {
  offset: number;
  lengthBytes: number;
}

/**
 * Reads whole chunks. The admission is settled when it resolves or rejects.
 *
 * @throws PeerError, `ERR_DIGEST_MISMATCH`, `ERR_ABORTED`
 */
export async function readPeer(
  context: PeerReadContext,
  peer: Peer,
  admission: Admission,
  method: PeerReadMethod,
  range: Range,
  sink: RangeSink,
  options: PeerRequestOptions,
): Promise<void> {
  const whole = new CountingSink(sink);
  try {
    await readOnce(context, peer, admission, method, range, whole, options);
  } catch (error) {
    if (errorCode(silenceOf(error)) !== 'ERR_NBD_SILENT' || options.signal?.aborted) throw error;
    const doneBytes = whole.deliveredBytes;
    if (doneBytes === range.lengthBytes) return;
    const second = context.trust.enter(peer.id);
    if (second === undefined) throw error;
    const rest = { offset: range.offset + doneBytes, lengthBytes: range.lengthBytes - doneBytes };
    await readOnce(context, peer, second, method, rest, whole, options);
  }
}

async function readOnce(
  context: PeerReadContext,
  peer: Peer,
  admission: Admission,
  method: PeerReadMethod,
  range: Range,
  sink: RangeSink,
  options: PeerRequestOptions,
): Promise<void> {
  const { content, metrics, verifier, clock } = context;
  const { offset, lengthBytes } = range;
  const tally = metrics.of(peer.id);
  const startMs = clock.nowMs();
  tally.requests += 1;
  metrics[method === 'readHome' ? 'homeRequests' : 'heldRequests'] += 1;
  const whole =
    verifier === undefined
      ? wholeChunks(sink, content.chunkBytes, offset, lengthBytes)
      : new VerifyingSink(sink, verifier, offset, lengthBytes);
  const counting = new CountingSink(whole);
  try {
    await peer[method](content, offset, lengthBytes, counting, options);
    admission.succeeded();
    tally.latency.observe(clock.nowMs() - startMs);
  } catch (error) {
    const code = errorCode(error);
    // A home that refuses is well, as a rule: its origin failed.
    if (code === 'ERR_PEER_REFUSED' && method === 'readHome') tally.failures += 1;
    if (code === 'ERR_PEER_ABSENT' || code === 'ERR_ABORTED' || (code === 'ERR_PEER_REFUSED' && method === 'readHome')) admission.ended();
    else admission.failed(error);
    throw error;
  } finally {
    tally.bytes += counting.dataBytes;
    whole.release();
  }
}
