/**
 * Asks the health of a peer: one address, one question at a time. The real probe speaks NBD
 * (`peer/client/probe.ts`). Tests and a simulation have their own.
 */
import type { NodeStatement } from '../node.js';

export interface PingAnswer {
  /** The same object as before if nothing changed. */
  statement: NodeStatement;
  /** Round trip of the ping alone, without connecting, in µs. */
  rttUs: number;
}

export interface Probe {
  /**
   * Asks once; connects first if there is no connection.
   *
   * @throws IncompatibleError if another program answers; any other error if there is no answer
   */
  ping(options: { signal: AbortSignal }): Promise<PingAnswer>;
  close(): void;
}

/** @param onLost is called if the connection ends between two questions */
export type OpenProbe = (address: string, onLost: () => void) => Probe;
