/**
 * One connection to the export, made when it is first wanted and again after it was lost. Never retries by itself: an origin makes one attempt.
 *
 * Invariant: a connection that is handed out has the pinned size.
 */
import { waitFor } from '../../base/deadline.js';
import { ClosedError } from '../../base/error.js';
import type { NbdClient } from '../../nbd/client/nbd-client.js';
import { changedError } from '../change.js';

/** What is used of a connected NbdClient. */
export type NbdPeer = Pick<NbdClient, 'sizeBytes' | 'blockSize' | 'contexts' | 'failure' | 'read' | 'blockStatus' | 'destroy'>;

export type NbdConnect = () => Promise<NbdPeer>;

export class NbdLink {
  readonly #display: string;
  readonly #sizeBytes: number;
  readonly #connect: NbdConnect;
  #connecting: Promise<NbdPeer> | undefined;
  #closed = false;

  constructor(display: string, sizeBytes: number, connect: NbdConnect) {
    this.#display = display;
    this.#sizeBytes = sizeBytes;
    this.#connect = connect;
  }

  /** Shared by all who ask; giving up does not end it for the others. @throws what `connect` throws, `ERR_ORIGIN_CHANGED`, `ERR_CLOSED` */
  async peer(signal: AbortSignal | undefined): Promise<NbdPeer> {
    const connecting = this.#connection();
    const peer = await waitFor(`connection to ${this.#display}`, connecting, { signal });
    if (peer.failure === undefined) return peer;
    // It broke while nobody used it.
    this.#forget(connecting);
    return waitFor(`connection to ${this.#display}`, this.#connection(), { signal });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const peer = await this.#connecting?.catch(() => undefined);
    peer?.destroy(new ClosedError(this.#display));
  }

  #connection(): Promise<NbdPeer> {
    if (this.#closed) return Promise.reject(new ClosedError(this.#display));
    if (this.#connecting !== undefined) return this.#connecting;
    const connecting = this.#open();
    this.#connecting = connecting;
    connecting.catch(() => this.#forget(connecting));
    return connecting;
  }

  #forget(connecting: Promise<NbdPeer>): void {
    if (this.#connecting === connecting) this.#connecting = undefined;
  }

  async #open(): Promise<NbdPeer> {
    const peer = await this.#connect();
    if (peer.sizeBytes === this.#sizeBytes && !this.#closed) return peer;
    peer.destroy(new ClosedError(this.#display));
    if (this.#closed) throw new ClosedError(this.#display);
    throw changedError(this.#display, `its size was ${this.#sizeBytes} and is ${peer.sizeBytes}`);
  }
}
