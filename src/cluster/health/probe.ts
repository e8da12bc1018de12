/** How a peer's health is asked: one address, one question at a time. The real one speaks NBD (`nbd-probe.ts`); tests and a simulation have their own. */
import type { NodeStatement } from '../node.js';

export interface PingAnswer {
  /** The same object as before where nothing changed. */
  statement: NodeStatement;
  /** Of the ping alone, without connecting. */
  rttUs: number;
}

export interface Probe {
  /**
   * Asks once; connects first where there is no connection.
   *
   * @throws IncompatibleError when somebody else answers; anything else when nobody does
   */
  ping(options: { signal: AbortSignal }): Promise<PingAnswer>;
  close(): void;
}

/** @param onLost called when the connection ended while nothing was asked over it */
export type OpenProbe = (address: string, onLost: () => void) => Probe;
