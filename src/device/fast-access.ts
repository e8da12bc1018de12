/**
 * Grants the files of a device to native lanes, and takes the grants back when the offer shrinks.
 *
 * Invariants: after the call of `refresh` no lane begins a request on files that are not offered
 * any more. When `refresh` resolves no lane uses them. No grant is made during a revocation.
 */
import type { NativeChunkFile } from '../base/native/chunk.js';
import type { NativeLease } from '../base/native/lane.js';
import type { NativeOverlayFile } from '../base/native/overlay.js';

/**
 * Files with all bytes of a device, as far as they are on this host: an overlay over an image, or
 * one of the two.
 */
export interface FastFiles {
  readonly overlay: NativeOverlayFile | undefined;
  readonly image: NativeChunkFile | undefined;
  /** Lease of the device. Replies wait while it has passed. */
  readonly lease?: NativeLease | undefined;
  /**
   * Called when a lane may write: the device's blocks change without its knowledge until the
   * returned function is called.
   */
  beginWrites?(): () => void;
}

export interface FastOffer extends Pick<FastFiles, 'overlay' | 'image' | 'lease'> {
  /** True if whole blocks of the overlay may be written, too. */
  readonly writable: boolean;
}

/** A user of the files: one connection. */
export interface FastUser {
  /** Grants the use of the files from now on. A further call grants more, never less. */
  grant(offer: FastOffer): void;
  /**
   * Begins no further request once it returns. Resolves when no file is in use, soon, whether the
   * client reads or not. Never rejects.
   */
  revoke(): Promise<void>;
}

/** Hold of one user. */
export interface FastHold {
  /** Takes all grants back for good. Resolves when no file is in use. */
  release(): Promise<void>;
}

export interface FastAccessOptions {
  /** Returns the present offer; `undefined` means nothing. Cheap. */
  offer(): FastOffer | undefined;
  /** Called when a user may write, until the returned function is called. */
  onWritable?(): () => void;
}

interface Entry extends FastHold {
  readonly user: FastUser;
  given: FastOffer | undefined;
  /** Ends the permission of a user that may write. */
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

  /** True if at least one user holds the access. */
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

  /** Call it with every change of the offer, in the same turn. Never rejects. */
  async refresh(): Promise<void> {
    if (this.#entries.size === 0) return;
    await Promise.all([...this.#entries].map((entry) => this.#settle(entry)));
  }

  async #settle(entry: Entry): Promise<void> {
    // The revocation under way looks at the offer again when it ends.
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

/** Returns true if `offer` contains all of `than`. */
function isNoLess(offer: FastOffer | undefined, than: FastOffer | undefined): boolean {
  if (than === undefined) return true;
  if (offer === undefined) return false;
  const isSame = offer.overlay === than.overlay && offer.image === than.image && offer.lease === than.lease;
  return isSame && (offer.writable || !than.writable);
}
