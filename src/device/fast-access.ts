/**
 * Who answers from a device's files natively, past the device: tells them what they may answer from, and takes it back whenever that changes.
 *
 * Invariant: whatever is not offered any more is not begun after `refresh` was called, and not in use any more once it resolved. Nothing is given while something is being taken back.
 */
import type { NativeChunkFile, NativeLease, NativeOverlayFile } from '../base/native.js';

/** Files that all bytes of a device lie in, as far as they are on this host: an overlay over an image, or one of the two. */
export interface FastFiles {
  readonly overlay: NativeOverlayFile | undefined;
  readonly image: NativeChunkFile | undefined;
  /** What is answered from them waits while this has passed. */
  readonly lease?: NativeLease | undefined;
  /** Of a device that can be written: its blocks change from now on without its being told, until the returned function is called. */
  beginWrites?(): () => void;
}

export interface FastOffer extends Pick<FastFiles, 'overlay' | 'image' | 'lease'> {
  /** Whole blocks of the overlay may be written, too. */
  readonly writable: boolean;
}

/** Somebody who answers natively: a connection. */
export interface FastUser {
  /** May answer from that from now on. Comes again with more, never with less. */
  grant(offer: FastOffer): void;
  /** Begins nothing more when it returns. Resolves when nothing is in use: soon, whatever the client does. Never rejects. */
  revoke(): Promise<void>;
}

/** A user's hold. */
export interface FastHold {
  /** What was granted is taken back, for good. Resolves when nothing is in use. */
  release(): Promise<void>;
}

export interface FastAccessOptions {
  /** What may be answered natively just now; `undefined`: nothing. Cheap. */
  offer(): FastOffer | undefined;
  /** A user may write from now on, until the returned function is called. */
  onWritable?(): () => void;
}

interface Entry extends FastHold {
  readonly user: FastUser;
  given: FastOffer | undefined;
  /** Of a user who may write. */
  endWrites: (() => void) | undefined;
  revoking: Promise<void> | undefined;
  released: boolean;
}

export class FastAccess {
  readonly #options: FastAccessOptions;
  readonly #entries = new Set<Entry>();

  constructor(options: FastAccessOptions) {
    this.#options = options;
  }

  /** Whether there is somebody to tell. */
  get isUsed(): boolean {
    return this.#entries.size > 0;
  }

  attach(user: FastUser): FastHold {
    const entry: Entry = {
      user,
      given: undefined,
      endWrites: undefined,
      revoking: undefined,
      released: false,
      release: async () => {
        entry.released = true;
        await this.#settle(entry);
        this.#entries.delete(entry);
      },
    };
    this.#entries.add(entry);
    void this.#settle(entry);
    return entry;
  }

  /** To be called with every change of what is offered, in the same turn. Never rejects. */
  async refresh(): Promise<void> {
    if (this.#entries.size === 0) return;
    await Promise.all([...this.#entries].map((entry) => this.#settle(entry)));
  }

  async #settle(entry: Entry): Promise<void> {
    // When it is done it looks anew.
    if (entry.revoking !== undefined) return entry.revoking;
    const offer = entry.released ? undefined : this.#options.offer();
    if (!isNoLess(offer, entry.given)) {
      entry.revoking = entry.user.revoke().then(() => this.#revoked(entry));
      return entry.revoking;
    }
    if (offer === undefined || isNoLess(entry.given, offer)) return;
    entry.given = offer;
    if (offer.writable) entry.endWrites ??= this.#options.onWritable?.();
    entry.user.grant(offer);
  }

  #revoked(entry: Entry): Promise<void> {
    entry.revoking = undefined;
    entry.given = undefined;
    const { endWrites } = entry;
    entry.endWrites = undefined;
    endWrites?.();
    return this.#settle(entry);
  }
}

/** Whether `offer` has all that `than` has. */
function isNoLess(offer: FastOffer | undefined, than: FastOffer | undefined): boolean {
  if (than === undefined) return true;
  if (offer === undefined) return false;
  const isSame = offer.overlay === than.overlay && offer.image === than.image && offer.lease === than.lease;
  return isSame && (offer.writable || !than.writable);
}
