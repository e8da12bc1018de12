/**
 * Addresses as operators write them: `unix:PATH` and `tcp:HOST:PORT` for sockets, HOST:PORT for
 * nodes.
 *
 * Invariant: `net.Server.listen` and `net.connect` take each address that `absoluteAddress`
 * returns. `parseAddress` alone leaves the path of a unix address as it was written.
 */
import { resolve } from 'node:path';
import { CopseError } from '../base/error.js';
import { isLoopbackHost } from '../base/loopback.js';
import { maxUnixPathBytes } from '../base/unix-path.js';

export type SocketAddress =
  | { kind: 'unix'; path: string }
  /** `port` 0 lets the kernel choose. An IPv6 `host` has no brackets. */
  | { kind: 'tcp'; host: string; port: number };

/**
 * @throws CopseError `ERR_ADDRESS` on anything but `unix:PATH`, `tcp:HOST:PORT` and
 *   `tcp:[IPV6]:PORT`
 */
export function parseAddress(text: string): SocketAddress {
  const unix = /^unix:(.+)$/s.exec(text);
  if (unix?.[1] !== undefined) return { kind: 'unix', path: unix[1] };
  const tcp = /^tcp:(?:\[([0-9a-fA-F:.%\w]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text);
  const host = tcp?.[1] ?? tcp?.[2];
  const port = Number(tcp?.[3]);
  if (host !== undefined && port <= 65535) return { kind: 'tcp', host, port };
  throw new CopseError(
    'ERR_ADDRESS',
    `"${text}" is not an address: write unix:PATH or tcp:HOST:PORT, as in unix:/run/copse/nbd.sock or tcp:127.0.0.1:10809`,
  );
}

/**
 * Checks the address at which other nodes reach a node.
 *
 * @returns the text
 * @throws CopseError `ERR_ADDRESS` on anything but HOST:PORT and [IPV6]:PORT; on port 0 and the
 *   wildcards `0.0.0.0` and `::`, which no other host can dial
 */
export function checkHostPort(text: string): string {
  const example = 'write HOST:PORT, as in 10.0.0.1:10810 or [2001:db8::1]:10810';
  if (!/^(?:\[[0-9a-fA-F:.%\w]+\]|[^:[\]\s/@]+):\d{1,5}$/.test(text)) {
    throw new CopseError('ERR_ADDRESS', `"${text}" is not an address of a node: ${example}`);
  }
  const [host, port] = [text.slice(0, text.lastIndexOf(':')), Number(text.slice(text.lastIndexOf(':') + 1))];
  if (port < 1 || port > 65535) throw new CopseError('ERR_ADDRESS', `"${text}": no node can be reached on port ${port}: ${example}`);
  if (['0.0.0.0', '[::]'].includes(host)) {
    throw new CopseError('ERR_ADDRESS', `"${text}" stands for every address of a host, and other hosts can't dial it: ${example}`);
  }
  return text;
}

/** @returns the name. @throws CopseError `ERR_ADDRESS` unless it is a host's name without a port */
export function checkHostName(text: string): string {
  if (/^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})$/.test(text)) return text.toLowerCase();
  throw new CopseError('ERR_ADDRESS', `"${text}" is not a host's name: write it without a port, as in host-a.example`);
}

/** True if two HOST:PORT stand for the same place as written. No name is resolved. */
export function isSameHostPort(left: string, right: string): boolean {
  return canonicalHost(left) === canonicalHost(right);
}

/** Normalizes the many ways to write one IP address, by the URL parser. */
function canonicalHost(hostPort: string): string {
  const url = `http://${hostPort}`;
  return URL.canParse(url) ? new URL(url).host : hostPort.toLowerCase();
}

/** @throws CopseError `ERR_ADDRESS` when a unix path becomes longer than the kernel takes */
export function absoluteAddress(address: SocketAddress, baseDir: string): SocketAddress {
  if (address.kind === 'tcp') return address;
  const path = resolve(baseDir, address.path);
  const lengthBytes = Buffer.byteLength(path);
  if (lengthBytes > maxUnixPathBytes) {
    throw new CopseError(
      'ERR_ADDRESS',
      `the socket path ${path} has ${lengthBytes} bytes, and the kernel takes at most ${maxUnixPathBytes}: choose a shorter one`,
    );
  }
  return { kind: 'unix', path };
}

/** The form that `parseAddress` reads. */
export function formatAddress(address: SocketAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return `tcp:${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}

/**
 * True if only programs of this host can reach the address. A name other than `localhost` counts as
 * remote, because it may resolve to any address.
 */
export function isLocalAddress(address: SocketAddress): boolean {
  return address.kind === 'unix' || isLoopbackHost(address.host);
}
