/** Addresses that only programs of this host can reach. */

/**
 * True for `localhost` and the loopback addresses. Any other name may resolve to anything, so it is
 * none.
 */
export function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^(?:::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/i.test(host);
}
