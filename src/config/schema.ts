/**
 * The configuration of one node as the rest of the program sees it, and every default in one place.
 *
 * Invariant: a `Config` is complete and checked: nobody behind it parses text, looks for a default or resolves a path.
 * What operators write is in `file-schema.ts`; how the two meet is in `load.ts`.
 */
import type { LogLevel } from '../base/log.js';
import { KiB, MiB } from '../base/size.js';
import type { OriginCredential } from '../origin/origin.js';
import type { SocketAddress } from './address.js';

export type { SocketAddress } from './address.js';

export interface Config {
  /** Absolute path of the state directory: catalog, cache, lock. May not exist yet. */
  stateDir: string;
  /** Where NBD clients attach; at least one; unix paths are absolute. */
  listen: SocketAddress[];
  /** Whether the operator wrote `listen`. If not, sockets that systemd passes take the place of the default. */
  listenGiven: boolean;
  /** Permission bits of the NBD unix sockets, 0 to 0o777. */
  socketMode: number;
  /** Group of the NBD unix sockets: a name or a decimal id; the process's own when absent. */
  socketGroup: string | undefined;
  /** Where the admin API listens. */
  admin: SocketAddress;
  /** The admin API may listen where other hosts can reach it. It has no authentication. */
  adminAllowRemote: boolean;
  logLevel: LogLevel;
  cache: {
    /** Budget of the cache, in bytes on disk. */
    sizeBytes: number;
    /** Free space of the state directory's file system that the cache never goes below. */
    minFreeBytes: number;
  };
  /** What an image gets that does not say otherwise. */
  imageDefault: {
    /** A power of two from `minChunkSizeBytes` to `maxChunkSizeBytes`. */
    chunkSizeBytes: number;
    /** Deadline of a guest's request; 0 waits for ever. */
    deadlineMs: number;
    /** The largest window of sequential readahead; 0 turns it off. */
    readaheadBytes: number;
  };
  limit: {
    /** NBD connections at once, over all listeners. */
    connectionCount: number;
    /** From accept to the end of negotiation. */
    handshakeTimeoutMs: number;
    /** Requests of one connection that are under way at once; further ones are not read from the socket. */
    requestsPerConnection: number;
    /** Bytes of payload of one connection's requests and replies that are under way at once; at least one request of the maximum size. */
    bytesPerConnection: number;
    /** The same over all connections. */
    requestMemoryBytes: number;
  };
  /** Images to add at start, in order; names are unique. */
  images: ConfiguredImage[];
  credentials: OriginCredential[];
}

/** As `ImageAddRequest` of the admin API. `undefined` means the default. */
export interface ConfiguredImage {
  name: string;
  /** A URL or an absolute path. */
  url: string;
  format?: string | undefined;
  chunkSizeBytes?: number | undefined;
  deadlineMs?: number | undefined;
  backing?: Record<string, string> | undefined;
}

export const minChunkSizeBytes = 64 * KiB;
export const maxChunkSizeBytes = 1 * MiB;
/** The largest NBD request that Copse takes: no limit on bytes may be smaller. */
export const maxRequestBytes = 32 * MiB;
/** The longest delay that a Node timer takes. */
export const maxDurationMs = 2 ** 31 - 1;

/** Every default that does not depend on who runs the daemon and where (those are in `place.ts`). */
export const defaults = {
  socketMode: 0o660,
  adminAllowRemote: false,
  logLevel: 'info',
  /** Shares of the file system's size. */
  cache: { size: { share: 0.5 }, minFree: { share: 0.05 } },
  /** The chunk size is the one that came out best in the replay of recorded boots (docs/performance.md). */
  imageDefault: { chunkSizeBytes: 256 * KiB, deadlineMs: 30_000, readaheadBytes: 8 * MiB },
  limit: {
    connectionCount: 1024,
    handshakeTimeoutMs: 10_000,
    requestsPerConnection: 256,
    bytesPerConnection: 64 * MiB,
    requestMemoryBytes: 512 * MiB,
  },
} as const;
