/** The real ends of a live cluster: pings and reads over NBD. */
import { NbdPeer } from '../../src/peer/client/nbd-peer.js';
import { openNbdProbe } from '../../src/peer/client/probe.js';

export const openNbd = {
  openProbe: openNbdProbe,
  openPeer: (id: string, address: string): NbdPeer => new NbdPeer({ id, address, selfId: 'a' }),
};
