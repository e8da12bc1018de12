/** The addresses of this host, which its members are told so that they know it by any of them. */
import { networkInterfaces } from 'node:os';
import type { Clock } from '../../base/clock.js';
import { mostAddresses } from '../node.js';

/** How long a reading of the host's interfaces is used. */
const readMs = 10_000;

/**
 * The returned function lists the addresses but those of the loopback, sorted; it asks the system
 * every 10 s at most.
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
      .slice(0, mostAddresses);
    return addresses;
  };
}
