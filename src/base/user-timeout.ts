/**
 * Time that the kernel keeps a TCP connection whose other end acknowledges nothing
 * (TCP_USER_TIMEOUT, tcp(7)). Node can't set it.
 */
import type { Socket } from 'node:net';
import { native } from './native/loader.js';

/** A member of Node's sockets that their types do not show. */
interface SocketHandle {
  fd?: unknown;
}

/**
 * Ends the connection with `ETIMEDOUT` if bytes stay unacknowledged, or wait for a window, for that
 * time. A connection on which nothing is sent stays as it is. It does nothing for sockets that are
 * not TCP, or not connected.
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
