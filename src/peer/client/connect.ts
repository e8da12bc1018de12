/** Connections to other nodes: all of them are made here, so that none can be silent for long. */
import type { Clock } from '../../base/clock.js';
import type { NbdConnectOptions } from '../../nbd/client/contract.js';
import { NbdClient } from '../../nbd/client/nbd-client.js';
import type { NbdAddress } from '../../nbd/codec/uri.js';

export interface PeerConnectOptions extends Pick<NbdConnectOptions, 'contexts' | 'maxInFlight' | 'timeoutMs' | 'signal'> {
  exportName: string;
  /** Time that a read may wait on a connection that gives signs of life, in ms. Default 15 000, half of a guest's deadline. */
  maxWaitMs?: number | undefined;
  /** Time without a byte before a sign of life is asked for, in ms. Default 2000. */
  quietMs?: number | undefined;
  clock?: Clock | undefined;
}

/** Time that the kernel lets bytes to and from another node stay unacknowledged, in ms. */
export const peerUserTimeoutMs = 10_000;
const defaultMostWaitMs = 15_000;

/**
 * Connects to an export of a node. A connection on which nothing comes for `quietMs` is asked for a sign of life, and ends
 * with `ERR_NBD_SILENT` when there is none within a second. A read that waits for longer than `maxWaitMs` fails with
 * `ERR_NBD_UNANSWERED`.
 *
 * @throws what `NbdClient.connect` does
 */
export function connectToPeer(address: NbdAddress, options: PeerConnectOptions): Promise<NbdClient> {
  const { maxWaitMs = defaultMostWaitMs, quietMs, clock, ...rest } = options;
  return NbdClient.connect(address, { ...rest, patience: { maxWaitMs, quietMs, clock }, userTimeoutMs: peerUserTimeoutMs });
}
