/**
 * The kept connection of an NBD origin. It makes one attempt at a time and retries nothing, because
 * an origin makes one attempt.
 *
 * Invariant: a connection that is handed out has the pinned size.
 */
import { ClosedError } from '../../base/error.js';
import { KeptConnection } from '../../nbd/client/kept-connection.js';
import type { NbdClient } from '../../nbd/client/nbd-client.js';
import { changedError } from '../change.js';

/** The used part of a connected NbdClient. */
export type NbdPeer = Pick<NbdClient, 'sizeBytes' | 'blockSize' | 'contexts' | 'failure' | 'read' | 'blockStatus' | 'destroy'>;

export type NbdConnect = () => Promise<NbdPeer>;

/**
 * Makes no connection. `get` throws what `connect` throws, `ERR_ORIGIN_CHANGED`, `ERR_CLOSED`.
 *
 * @param display URL for people
 */
export function keepNbdPeer(display: string, sizeBytes: number, connect: NbdConnect): KeptConnection<NbdPeer> {
  return new KeptConnection({
    name: display,
    connect: async () => {
      const peer = await connect();
      if (peer.sizeBytes === sizeBytes) return peer;
      peer.destroy(new ClosedError(display));
      throw changedError(display, `its size was ${sizeBytes} and is ${peer.sizeBytes}`);
    },
  });
}
