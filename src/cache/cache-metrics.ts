/**
 * Counters of one image's cache since the daemon started. They are plain numbers, because hot paths
 * change them.
 */
export class CacheMetrics {
  /** Chunks that a guest had to wait for. */
  missedChunks = 0;
  /** Requests to the source, and the bytes that it transferred. */
  fetches = 0;
  fetchedBytes = 0;
  /** Bytes that the source knew to be zeros, and did not transfer. */
  zeroBytes = 0;
  /** Chunks that were fetched ahead of demand. */
  prefetchedChunks = 0;
  failedFetches = 0;
  /** Chunks that a peer delivered. */
  peerChunks = 0;
  /** Chunks that could not be stored (cache full or broken). */
  unstoredChunks = 0;
  /**
   * Chunks that were dropped and fetched again: their checksum differed, or they could not be read.
   */
  droppedChunks = 0;
}
