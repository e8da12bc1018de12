/** What one image's cache counted since the daemon started. Plain numbers: they are on the hot paths. */
export class CacheMetrics {
  /** Chunks that a guest had to wait for. */
  missedChunks = 0;
  /** Requests to the source, and the bytes that came back, zeros that were not transferred not counted. */
  fetches = 0;
  fetchedBytes = 0;
  /** Bytes that the source knew to be zeros. */
  zeroBytes = 0;
  /** Chunks that were fetched ahead of demand. */
  prefetchedChunks = 0;
  failedFetches = 0;
  /** Chunks that a peer delivered. */
  peerChunks = 0;
  /** Chunks that could not be kept (cache full or broken). */
  unstoredChunks = 0;
  /** Chunks whose checksum did not match, or that could not be read: fetched again. */
  droppedChunks = 0;
}
