/** How far a node is: the time that the network and both kernels take to open a TCP connection. */
import { connect } from 'node:net';
import { waitFor } from '../../base/deadline.js';
import { parsePeerAddress } from '../address.js';

/** The least of several: what is above it is scheduling, not distance. */
const attempts = 5;

/**
 * Microseconds to HOST:PORT, the least of a few tries.
 *
 * @throws CopseError `ERR_URL`, `ERR_DEADLINE`; Error of the system when nobody listens
 */
export async function tcpRttUs(address: string, timeoutMs: number): Promise<number> {
  const place = parsePeerAddress(address);
  let minUs = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < attempts; attempt++) {
    const socket = connect(place);
    const beganMs = performance.now();
    const connected = new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.on('error', reject);
    });
    try {
      await waitFor(`connection to ${address}`, connected, { timeoutMs });
      minUs = Math.min(minUs, (performance.now() - beganMs) * 1000);
    } finally {
      socket.destroy();
    }
  }
  return minUs;
}
