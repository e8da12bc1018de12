/**
 * The configuration of one node as the rest of the program sees it, and every default in one place.
 *
 * Invariant: a `Config` is complete and checked: nobody behind it parses text, looks for a default or resolves a path.
 * What operators write is in `file-schema.ts`; how the two meet is in `load.ts`.
 */
import type { LogLevel } from '../base/log.js';
import type { Secret } from '../base/secret.js';
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
  /** NBD clients may attach from other hosts. They are not authenticated. */
  allowRemote: boolean;
  /** Where the admin API listens, unix sockets first; at least one. */
  admin: SocketAddress[];
  /** The admin API may listen where other hosts can reach it. */
  adminAllowRemote: boolean;
  /** The token that requests to the admin API on TCP must carry; absent: none. */
  adminToken: Secret | undefined;
  /** Names by which the admin API on TCP may be asked, besides addresses and the host's own name. */
  adminNames: string[];
  logLevel: LogLevel;
  server: {
    /** Native threads answer what lies in local files. */
    fastPath: boolean;
  };
  cache: {
    /** Budget of the cache, in bytes on disk. */
    sizeBytes: number;
    /** Free space of the state directory's file system that the cache never goes below. */
    minFreeBytes: number;
  };
  /** What an image gets that does not say otherwise. */
  imageDefault: {
    /** Size that `checkChunkSize` accepts. */
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
  node: NodeConfig;
  /** Absent on a single host: there is no peer server, and nobody is asked but origins. */
  cluster: ClusterConfig | undefined;
  /** Absent without a cluster. Never together with static members. */
  etcd: EtcdConfig | undefined;
  disk: {
    /** As `checkOriginPrefix` returns them. */
    allowOrigins: string[];
  };
  /** Images to add at start, in order; names are unique. */
  images: ConfiguredImage[];
  credentials: OriginCredential[];
}

export interface NodeConfig {
  /** Unique among the nodes of all clusters: 1 to 63 of `A-Z a-z 0-9 . _ -`; the host's name unless the operator chose one. */
  id: string;
  /** HOST:PORT where peers reach this node; there whenever there is a cluster. */
  address: string | undefined;
  /** Where the peer server binds: `tcp:` and the address, unless the operator chose another; absent without an address. */
  listen: SocketAddress | undefined;
}

/** Whose bytes may be shared: `strong` takes those with a manifest, a strong identity or the operator's word, `verified-only` those with a manifest alone. */
export const peerPolicies = ['strong', 'verified-only'] as const;
export type PeerPolicy = (typeof peerPolicies)[number];

export interface ClusterConfig {
  /** Absent: `auto`, the node chooses by measurement; only with etcd. */
  name: string | undefined;
  /** With `auto`, the longest round trip in microseconds to a cluster that is joined. */
  autoRttUs: number;
  /** With `auto`, a cluster of so many members is full. */
  maxMembers: number;
  /** Static peers as HOST:PORT, each once, without this node's own address; empty with etcd. */
  members: string[];
  /** What this node gives to the cluster's cache, 0 to `cache.sizeBytes`; with 0 it reads and is never a home. */
  donatedBytes: number;
  peers: PeerPolicy;
}

export interface EtcdConfig {
  /** `http://HOST:PORT` or `https://HOST:PORT`; at least one; all with the same scheme. */
  urls: string[];
  /** Both or none. */
  user?: string | undefined;
  password?: Secret | undefined;
  /** Absolute path of a PEM file of certificate authorities to trust instead of the system's. */
  caFile?: string | undefined;
  /** Begins with a slash and does not end with one: all of Copse's keys lie below it. */
  prefix: string;
}

/** Whether an image's chunks are shared within the cluster: where that is safe, at the operator's word, or not at all. */
export const sharePolicies = ['auto', 'trust', 'never'] as const;
export type SharePolicy = (typeof sharePolicies)[number];

/** As `ImageAddRequest` of the admin API. `undefined` means the default. */
export interface ConfiguredImage {
  name: string;
  /** A URL or an absolute path. */
  url: string;
  format?: string | undefined;
  chunkSizeBytes?: number | undefined;
  deadlineMs?: number | undefined;
  backing?: Record<string, string> | undefined;
  /** A URL or an absolute path; only together with `digest`. */
  manifest?: string | undefined;
  /** `blake3:` and 64 hexadecimal digits, of the manifest. */
  digest?: string | undefined;
  share?: SharePolicy | undefined;
}

/** The largest NBD request that Copse takes: no limit on bytes may be smaller. */
export const maxRequestBytes = 32 * MiB;
/** The longest delay that a Node timer takes. */
export const maxDurationMs = 2 ** 31 - 1;

/** Every default that does not depend on who runs the daemon and where (those are in `place.ts`). */
export const defaults = {
  socketMode: 0o660,
  allowRemote: false,
  adminAllowRemote: false,
  logLevel: 'info',
  server: { fastPath: true },
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
  /** What is donated is the whole budget of the cache. */
  cluster: { name: 'default', autoRttUs: 500, maxMembers: 64, peers: 'strong' },
  etcd: { prefix: '/copse' },
} as const;
