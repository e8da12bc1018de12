/** Addresses of this host. Other members hear of them, so that they recognize it by any of them. */
import { networkInterfaces } from 'node:os';
import type { Clock } from '../../base/clock.js';
import { maxAddresses } from '../node.js';

/** Time that a reading of the host's interfaces is used, in ms. */
const readMs = 10_000;

/**
 * Returns a function that lists the host's addresses without those of the loopback, sorted. It asks
 * the system at most every 10 s.
 */
export function hostAddresses(clock: Clock): () => string[] {
  let untilMs = Number.NEGATIVE_INFINITY;
  let addresses: string[] = [];
  return () => {
    if (clock.nowMs() < untilMs) return addresses;
    untilMs = clock.nowMs() + readMs;
    const found = Object.values(networkInterfaces()).flatMap((each = []) => each);
    addresses = found
      .filter(({ internal }) => !internal)
      .map(({ address }) => address)
      .sort()
      .slice(0, maxAddresses);
    return addresses;
  };
}
