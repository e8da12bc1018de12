/** Somebody who answers natively, and lets go of what was granted only when a test says so. */
import type { FastOffer, FastUser } from '../../src/device/device.js';

export class SlowUser implements FastUser {
  /** What it may answer from just now. */
  granted: FastOffer | undefined;
  grantCount = 0;
  revokeCount = 0;
  /** Lets go at once from now on. */
  isQuick = false;
  #letGo: (() => void) | undefined;

  /** Whether it was told to let go, and has not. */
  get isHolding(): boolean {
    return this.#letGo !== undefined;
  }

  /** In words: what it may do. */
  get may(): string {
    if (this.granted === undefined) return this.isHolding ? 'is ending' : 'nothing';
    return this.granted.writable ? 'read and write' : 'read';
  }

  grant(offer: FastOffer): void {
    this.grantCount += 1;
    this.granted = offer;
  }

  revoke(): Promise<void> {
    this.revokeCount += 1;
    this.granted = undefined;
    if (this.isQuick) return Promise.resolve();
    return new Promise((resolve) => {
      this.#letGo = resolve;
    });
  }

  letGo(): void {
    const letGo = this.#letGo;
    this.#letGo = undefined;
    letGo?.();
  }
}
