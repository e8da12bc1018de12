/** Distance of a node: the time that the network and both kernels take to open a TCP connection. */
import { connect } from 'node:net';
import { waitFor } from '../../base/deadline.js';
import { parsePeerAddress } from '../address.js';

/** Number of tries. The shortest counts, because the rest is scheduling and not distance. */
const attempts = 5;

/**
 * @returns the shortest round trip to HOST:PORT of a few tries, in µs
 * @throws CopseError `ERR_URL`, `ERR_DEADLINE`; Error of the system if the port is closed
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
