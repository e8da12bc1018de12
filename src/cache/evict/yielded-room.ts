/**
 * Room that the cache owes to disks on its file system that found none.
 *
 * A request counts the bytes that are evicted while it waits. After a request the cache keeps some
 * extra space free for a while, because its own stores would take the room before the disk's next
 * write.
 */

/** Time after the last request for which extra space stays free, in ms. */
const holdMs = 10_000;

export interface RoomRequest {
  readonly lengthBytes: number;
  freedBytes: number;
  /** Resolves when `lengthBytes` were freed. */
  readonly enough: Promise<void>;
  readonly fulfil: () => void;
}

export class YieldedRoom {
  readonly #requests = new Set<RoomRequest>();
  #heldBytes = 0;
  #heldUntilMs = Number.NEGATIVE_INFINITY;

  /** @param heldBytes bytes to keep free for a while */
  begin(lengthBytes: number, heldBytes: number, nowMs: number): RoomRequest {
    let fulfil = (): void => {};
    const enough = new Promise<void>((resolve) => {
      fulfil = resolve;
    });
    const request: RoomRequest = { lengthBytes, freedBytes: 0, enough, fulfil };
    this.#requests.add(request);
    this.#heldBytes = Math.max(this.heldBytes(nowMs), lengthBytes, heldBytes);
    this.#heldUntilMs = nowMs + holdMs;
    return request;
  }

  end(request: RoomRequest): void {
    this.#requests.delete(request);
  }

  /**
   * Bytes that must go even if the file system has free space; negative infinity without a request.
   */
  get owedBytes(): number {
    let bytes = Number.NEGATIVE_INFINITY;
    for (const { lengthBytes, freedBytes } of this.#requests) bytes = Math.max(bytes, lengthBytes - freedBytes);
    return bytes;
  }

  heldBytes(nowMs: number): number {
    return nowMs < this.#heldUntilMs ? this.#heldBytes : 0;
  }

  freed(bytes: number): void {
    for (const request of this.#requests) {
      request.freedBytes += bytes;
      if (request.freedBytes >= request.lengthBytes) request.fulfil();
    }
  }
}
