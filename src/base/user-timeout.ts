/** How long the kernel keeps a TCP connection whose other end acknowledges nothing (TCP_USER_TIMEOUT, tcp(7)), which Node can't set. */
import type { Socket } from 'node:net';
import { native } from './native/loader.js';

/** What Node's sockets have, and show nowhere. */
interface SocketHandle {
  fd?: unknown;
}

/**
 * Bytes that nobody acknowledges, and bytes that wait for a window, end the connection with `ETIMEDOUT` after that time.
 * A connection on which nothing is sent stays as it is. Of sockets that are not TCP, or not connected, it does nothing.
 *
 * @param socket may be a TLS socket over TCP
 */
export function setUserTimeout(socket: Socket, timeoutMs: number): void {
  const { _handle: handle } = socket as Socket & { _handle?: SocketHandle | null };
  if (typeof handle?.fd !== 'number' || handle.fd < 0) return;
  try {
    native.setUserTimeout(handle.fd, timeoutMs);
  } catch {
    // A unix socket, or one that has just been closed: there is nothing to end.
  }
}
