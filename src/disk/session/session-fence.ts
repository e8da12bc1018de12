/** The fence that stops one session of a disk, and the error that its requests fail with. */
import { CopseError } from '../../base/error.js';

export interface SessionFence {
  /** Client or node that displaced the session, as text for people. */
  by: string;
  /** True if the session's reads fail, too. */
  forReads: boolean;
  /** Time of the fence by the host's clock, in ms. */
  sinceMs: number;
  /** Epoch of the handover that displaced the session; absent: another client of this node did, or a force. */
  epoch?: number | undefined;
}

/** Reaches the client as EIO. */
export function fencedError({ by }: SessionFence): CopseError {
  return new CopseError(
    'ERR_FENCED',
    `this client, or one that can not be told from it, was displaced from the disk by ${by}; "copse disk take" lets it come back`,
  );
}
