/**
 * One connection to an export, made at its first use, made again after a loss, and ended for good
 * once.
 *
 * When to use: for exports of servers that may restart. Cost: one promise per use that finds no
 * connection. It repeats no request: a request that a lost connection had in flight rejects, and
 * its caller decides. A flush does not cover writes of a lost connection.
 *
 * Invariants: one attempt to connect runs at a time, and all callers share it. A caller that gives
 * up does not end it for the others. After `end` no caller waits any more, nothing is open, and
 * nothing is opened.
 */
import { waitFor } from '../../base/deadline.js';

/** The needed part of an NbdClient. */
export interface Keepable {
  /** Why the connection ended; `undefined` while it stands. */
  readonly failure: Error | undefined;
  destroy(reason: Error): void;
}

export interface KeptConnectionOptions<Connection extends Keepable> {
  /** Name of the connection in errors. */
  name: string;
  /**
   * Makes one connection, and refuses one to a wrong export.
   *
   * @param signal aborts at `end`
   */
  connect(signal: AbortSignal): Promise<Connection>;
}

export class KeptConnection<Connection extends Keepable> {
  readonly #options: KeptConnectionOptions<Connection>;
  readonly #end = new AbortController();
  #connection: Connection | undefined;
  #attempt: Promise<Connection> | undefined;
  #reason: Error | undefined;

  /** Makes no connection. */
  constructor(options: KeptConnectionOptions<Connection>) {
    this.#options = options;
  }

  /** Reason of `end`; `undefined` before. */
  get reason(): Error | undefined {
    return this.#reason;
  }

  /** The connection that stands; `undefined` if there is none. */
  get open(): Connection | undefined {
    return this.#connection?.failure === undefined ? this.#connection : undefined;
  }

  /**
   * Resolves to the connection that stands, or to a new one.
   *
   * @throws the reason of `end`; what `connect` throws; AbortedError
   */
  async get(signal?: AbortSignal): Promise<Connection> {
    if (this.#reason !== undefined) throw this.#reason;
    const { open } = this;
    if (open !== undefined) return open;
    this.#connection = undefined;
    this.#attempt ??= this.#connect().finally(() => {
      this.#attempt = undefined;
    });
    return waitFor(`connection to ${this.#options.name}`, this.#attempt, { signal });
  }

  /** Lets go of the connection that stands, which the caller ends. `get` makes another. */
  release(): Connection | undefined {
    const connection = this.#connection;
    this.#connection = undefined;
    return connection;
  }

  /** Ends the connection that stands: its requests fail with `reason`. `get` makes another. */
  drop(reason: Error): void {
    this.release()?.destroy(reason);
  }

  /** Ends it for good: all that wait, and all later calls, fail with `reason`. Idempotent. */
  end(reason: Error): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#end.abort(reason);
    this.drop(reason);
  }

  async #connect(): Promise<Connection> {
    let connection: Connection;
    try {
      connection = await this.#options.connect(this.#end.signal);
    } catch (error) {
      throw this.#reason ?? error;
    }
    if (this.#reason !== undefined) {
      connection.destroy(this.#reason);
      throw this.#reason;
    }
    this.#connection = connection;
    return connection;
  }
}
