/**
 * Connects to an export of another node, with the bounds on silence that this needs.
 *
 * A firewall that forgot a flow drops its packets without a word, and TCP alone notices after
 * minutes. So a silent connection is asked for a sign of life, and ended if there is none.
 *
 * Every connection to a peer is made here, but that of the pings (`probe.ts`), whose own timeout is
 * shorter.
 */
import type { Clock } from '../../base/clock.js';
import type { NbdConnectOptions } from '../../nbd/client/contract.js';
import { NbdClient } from '../../nbd/client/nbd-client.js';
import type { NbdAddress } from '../../nbd/codec/uri.js';

export interface PeerConnectOptions extends Pick<NbdConnectOptions, 'contexts' | 'maxInFlight' | 'timeoutMs' | 'signal'> {
  exportName: string;
  /**
   * Time that a read may wait on a connection that gives signs of life, in ms. Default 15 000, half
   * of a guest's deadline.
   */
  maxWaitMs?: number | undefined;
  /** Time without a byte after which a sign of life is asked for, in ms. Default 2000. */
  quietMs?: number | undefined;
  clock?: Clock | undefined;
}

/** Time that the kernel lets bytes to and from another node stay unacknowledged, in ms. */
export const peerUserTimeoutMs = 10_000;
const defaultMaxWaitMs = 15_000;

/**
 * Connects. A connection without a byte for `quietMs` is asked for a sign of life. Without one in
 * the next second it ends with `ERR_NBD_SILENT`. A read that waits longer than `maxWaitMs` fails
 * with `ERR_NBD_UNANSWERED`.
 *
 * @throws what `NbdClient.connect` throws
 */
export function connectToPeer(address: NbdAddress, options: PeerConnectOptions): Promise<NbdClient> {
  const { maxWaitMs = defaultMaxWaitMs, quietMs, clock, ...rest } = options;
  return NbdClient.connect(address, { ...rest, patience: { maxWaitMs, quietMs, clock }, userTimeoutMs: peerUserTimeoutMs });
}
