/**
 * Reads a range from a content's own cache as its home, for the cache's guest path. The guest path
 * does so when this node's turn comes in the order of homes.
 *
 * Absent chunks are passed on as they arrive, straight from the memory of the home path's flights.
 * Chunks that the store has are read one by one into memory of a budget.
 *
 * Invariants: the budget is no other path's. A flight of the guest path holds memory while it reads
 * here, so a common budget could fill with flights that wait for each other. A read here waits for
 * flights of the home path, which never wait for a read here.
 */
import type { Budget } from '../base/budget.js';
import type { SourceReadOptions } from '../block/read-options.js';
import type { PlacedSink } from '../block/sink.js';
import type { CacheRequestOptions, ChunkCache } from '../cache/chunk-cache.js';

/**
 * Delivers a range of a content in order. Rejects as `ChunkCache.read` does; a prefix may have been
 * delivered then.
 *
 * @param memory for stored chunks; less than one fetch of the home path is enough
 */
export async function readAsHome(
  cache: ChunkCache,
  memory: Budget,
  offset: number,
  lengthBytes: number,
  sink: PlacedSink,
  { priority, signal }: SourceReadOptions,
): Promise<void> {
  const options: CacheRequestOptions = { role: 'home', background: priority !== undefined && priority !== 'demand', signal };
  const { store } = cache;
  const end = offset + lengthBytes;
  for (let at = offset; at < end; ) {
    const chunk = Math.floor(at / store.chunkBytes);
    const passedBytes = store.isHeld(chunk) ? 0 : await cache.stream(at, end - at, sink, options);
    // A chunk that arrived out of order, or was verified meanwhile, is in the store by now.
    const chunkEnd = Math.min(end, chunk * store.chunkBytes + store.lengthOf(chunk));
    at += passedBytes > 0 ? passedBytes : await readChunk(cache, memory, at, chunkEnd - at, sink, options);
  }
}

async function readChunk(
  cache: ChunkCache,
  memory: Budget,
  offset: number,
  lengthBytes: number,
  sink: PlacedSink,
  options: CacheRequestOptions,
): Promise<number> {
  await memory.take(lengthBytes);
  try {
    const buffer = Buffer.allocUnsafe(lengthBytes);
    const place = await cache.read(buffer, offset, options);
    sink.from(place === 'origin' ? 'origin' : 'peer');
    sink.data(buffer);
    // The next chunk may come from elsewhere.
    sink.from('peer');
    return lengthBytes;
  } finally {
    memory.release(lengthBytes);
  }
}
