/**
 * What a cache owes to disks on its file system that found no room.
 *
 * A request counts what is evicted while it waits. For some time after one, the cache keeps more space free than it has
 * to: its own stores would take the room back before the disk's next write comes.
 */

/** After the last request. */
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

  /** @param heldBytes what is to stay free for a while */
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

  /** Bytes that have to go, whatever the file system says of its free space; less than anything where nobody asks. */
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
