/**
 * Pings a peer: reads the header of its export `node`, and its statement if that has changed.
 *
 * It keeps a connection of its own, and not by `KeptConnection`. There an attempt to connect
 * belongs to all callers and goes on when one gives up. Here it belongs to one ping and ends with
 * it, any failed ping ends the connection, and a loss between two pings is reported at once.
 *
 * Invariants: one ping runs at a time (the caller's duty). A statement is kept no longer than the
 * connection that it came from. After `close` nothing is open, and nothing is opened.
 */

import { type Clock, systemClock } from '../../base/clock.js';
import { errorCode, errorMessage } from '../../base/error.js';
import { parsePeerAddress } from '../../cluster/address.js';
import type { PingAnswer, Probe } from '../../cluster/health/probe.js';
import { IncompatibleError } from '../../cluster/incompatible-error.js';
import type { NodeStatement } from '../../cluster/node.js';
import { NbdClient } from '../../nbd/client/nbd-client.js';
import type { NbdAddress } from '../../nbd/codec/uri.js';
import { formatPeerExport } from '../wire/export-name.js';
import { decodeStatement, decodeStatementHeader, type StatementHeader, statementHeaderBytes } from '../wire/statement-page.js';

export class NbdProbe implements Probe {
  readonly #address: NbdAddress;
  readonly #onLost: () => void;
  readonly #clock: Clock;
  #client: NbdClient | undefined;
  #known: { generation: number; statement: NodeStatement } | undefined;
  #closed = false;

  /**
   * Makes no connection.
   *
   * @param address HOST:PORT
   * @param onLost is called when the connection ends by itself
   * @throws CopseError `ERR_URL`
   */
  constructor(address: string, onLost: () => void = () => {}, clock: Clock = systemClock) {
    this.#address = parsePeerAddress(address);
    this.#onLost = onLost;
    this.#clock = clock;
  }

  async ping(options: { signal: AbortSignal }): Promise<PingAnswer> {
    const { signal } = options;
    try {
      const client = this.#client ?? (await this.#connect(signal));
      const header = Buffer.allocUnsafe(statementHeaderBytes);
      const startMs = this.#clock.nowMs();
      await read(client, header, 0, signal);
      const rttUs = Math.max(1, Math.round((this.#clock.nowMs() - startMs) * 1000));
      return { rttUs, statement: await this.#statement(client, decodeStatementHeader(header), signal) };
    } catch (error) {
      // An answer may still arrive on the connection, or garbage came. It is of no more use.
      this.#drop();
      throw error;
    }
  }

  close(): void {
    this.#closed = true;
    this.#drop();
  }

  #drop(): void {
    const client = this.#client;
    this.#client = undefined;
    this.#known = undefined;
    client?.destroy();
  }

  async #connect(signal: AbortSignal): Promise<NbdClient> {
    const exportName = formatPeerExport({ kind: 'node' });
    let client: NbdClient;
    try {
      client = await NbdClient.connect(this.#address, { exportName, signal, timeoutMs: 0 });
    } catch (error) {
      const answers = ['ERR_NBD_UNKNOWN_EXPORT', 'ERR_NBD_REFUSED', 'ERR_NBD_TLS_REQUIRED'].includes(errorCode(error));
      throw answers ? notAPeer(error) : error;
    }
    if (this.#closed || client.sizeBytes < statementHeaderBytes) {
      client.destroy();
      throw notAPeer(undefined);
    }
    this.#client = client;
    client.closed
      .then(() => {
        if (this.#client !== client) return;
        this.#drop();
        this.#onLost();
      })
      .catch(() => {});
    return client;
  }

  async #statement(client: NbdClient, header: StatementHeader, signal: AbortSignal): Promise<NodeStatement> {
    const { generation, lengthBytes, usedBytes } = header;
    const known = this.#known;
    if (known?.generation === generation) {
      if (known.statement.usedBytes !== usedBytes) known.statement = { ...known.statement, usedBytes };
      return known.statement;
    }
    if (statementHeaderBytes + lengthBytes > client.sizeBytes)
      throw new IncompatibleError('its statement is longer than its export', header);
    const body = Buffer.allocUnsafe(lengthBytes);
    await read(client, body, statementHeaderBytes, signal);
    const statement = decodeStatement(header, body);
    this.#known = { generation, statement };
    return statement;
  }
}

function read(client: NbdClient, target: Buffer, offset: number, signal: AbortSignal): Promise<void> {
  const sink = {
    data: (piece: Buffer, at: number): void => void piece.copy(target, at - offset),
    zeroes: (at: number, lengthBytes: number): void => void target.fill(0, at - offset, at - offset + lengthBytes),
  };
  return client.read(offset, target.length, sink, { signal });
}

function notAPeer(cause: unknown): IncompatibleError {
  return new IncompatibleError('an NBD server answers, but not as a Copse node: check the port of the address', {}, { cause });
}

/**
 * Opens a probe. If the text is not an address, each ping of the probe fails with
 * `ERR_PEER_INCOMPATIBLE`.
 */
export function openNbdProbe(address: string, onLost: () => void, clock?: Clock): Probe {
  try {
    return new NbdProbe(address, onLost, clock);
  } catch (error) {
    return { ping: () => Promise.reject(new IncompatibleError(errorMessage(error))), close: () => {} };
  }
}
