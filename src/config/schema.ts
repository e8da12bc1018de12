/**
 * The configuration of one node as the daemon uses it, and all defaults.
 *
 * Invariant: a `Config` is complete and checked. Code that has one parses no text, looks for no
 * default and resolves no path. `file-schema.ts` has the form that operators write, and `load.ts`
 * makes a `Config` of it.
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
  /** Addresses for NBD clients, at least one. Unix paths are absolute. */
  listen: SocketAddress[];
  /**
   * True if the operator wrote `listen`. If not, sockets that systemd passes replace the default.
   */
  listenGiven: boolean;
  /** Permission bits of the NBD unix sockets, 0 to 0o777. */
  socketMode: number;
  /** Group of the NBD unix sockets: a name or a decimal id; absent: the process's own. */
  socketGroup: string | undefined;
  /** True if NBD clients, which are not authenticated, may attach from other hosts. */
  allowRemote: boolean;
  /** Addresses of the admin API, at least one, unix sockets first. */
  admin: SocketAddress[];
  /** True if the admin API may listen where other hosts can reach it. */
  adminAllowRemote: boolean;
  /** Token that requests to the admin API on TCP must carry; absent: none. */
  adminToken: Secret | undefined;
  /** Further names of this host in requests to the admin API on TCP. */
  adminNames: string[];
  logLevel: LogLevel;
  server: {
    /** True if native threads answer requests for bytes in local files. */
    fastPath: boolean;
  };
  cache: {
    /** Budget of the cache, in bytes on disk. */
    sizeBytes: number;
    /** Free space that the cache leaves on the state directory's file system, in bytes. */
    minFreeBytes: number;
  };
  /** Values of images that have none of their own. */
  imageDefault: {
    /** Size that `checkChunkSize` accepts. */
    chunkSizeBytes: number;
    /** Deadline of a guest's request, in ms; 0 means none. */
    deadlineMs: number;
    /** Largest window of sequential readahead, in bytes; 0 turns readahead off. */
    readaheadBytes: number;
  };
  limit: {
    /** Limit of NBD connections, over all listeners. */
    connectionCount: number;
    /** Time from accept to the end of negotiation, in ms. */
    handshakeTimeoutMs: number;
    /** Limit of requests under way on one connection. Further ones are not read from the socket. */
    requestsPerConnection: number;
    /**
     * Limit of the payload of one connection's requests and replies under way, in bytes; at least
     * the largest request.
     */
    bytesPerConnection: number;
    /** The same limit over all connections, in bytes. */
    requestMemoryBytes: number;
  };
  node: NodeConfig;
  /** Absent on a single host, which has no server for peers and asks origins alone. */
  cluster: ClusterConfig | undefined;
  /** Absent without a cluster. Never together with static members. */
  etcd: EtcdConfig | undefined;
  disk: {
    /** Prefixes of origins, as `checkOriginPrefix` returns them. */
    allowOrigins: string[];
  };
  /** Images to add at start, in order. Names are unique. */
  images: ConfiguredImage[];
  credentials: OriginCredential[];
}

export interface NodeConfig {
  /** Name of the node, unique among all clusters: 1 to 63 of `A-Z a-z 0-9 . _ -`. */
  id: string;
  /** HOST:PORT at which peers reach this node; present if there is a cluster. */
  address: string | undefined;
  /** Address that the server for peers binds; absent without `address`. */
  listen: SocketAddress | undefined;
}

/**
 * Rules for images that the cluster shares. `strong`: images with a manifest, a strong identity or
 * the operator's word. `verified-only`: images with a manifest.
 */
export const peerPolicies = ['strong', 'verified-only'] as const;
export type PeerPolicy = (typeof peerPolicies)[number];

export interface ClusterConfig {
  /** Name of the cluster; absent with `auto`, where the node measures and chooses. */
  name: string | undefined;
  /** Longest round trip to a cluster that the node joins, in µs. For `auto`. */
  autoRttUs: number;
  /** Count of members at which a cluster is full. For `auto`. */
  maxMembers: number;
  /** Static peers as HOST:PORT, each once, without this node's own address; empty with etcd. */
  members: string[];
  /**
   * Bytes that this node gives to the cluster's cache, 0 to `cache.sizeBytes`. With 0 it is never a
   * home.
   */
  donatedBytes: number;
  peers: PeerPolicy;
}

export interface EtcdConfig {
  /** At least one `http://HOST:PORT` or `https://HOST:PORT`, all with the same scheme. */
  urls: string[];
  /** User and password are both present, or none is. */
  user?: string | undefined;
  password?: Secret | undefined;
  /** Absolute path of a PEM file of certificate authorities, which replace the system's. */
  caFile?: string | undefined;
  /** Prefix of all of Copse's keys. It begins with a slash and does not end with one. */
  prefix: string;
}

/**
 * Rules for sharing an image's chunks in the cluster: if that is safe, at the operator's word, or
 * never.
 */
export const sharePolicies = ['auto', 'trust', 'never'] as const;
export type SharePolicy = (typeof sharePolicies)[number];

/**
 * An image of the configuration, with the fields of the request that adds one; `undefined`: the
 * default.
 */
export interface ConfiguredImage {
  name: string;
  /** A URL or an absolute path. */
  url: string;
  format?: string | undefined;
  chunkSizeBytes?: number | undefined;
  deadlineMs?: number | undefined;
  backing?: Record<string, string> | undefined;
  /** URL or absolute path of the manifest; only together with `digest`. */
  manifest?: string | undefined;
  /** The manifest's digest: `blake3:` and 64 hexadecimal digits. */
  digest?: string | undefined;
  share?: SharePolicy | undefined;
}

/** Largest NBD request that Copse takes, in bytes. No limit on bytes may be smaller. */
export const maxRequestBytes = 32 * MiB;
/** Longest delay that a Node timer takes, in ms. */
export const maxDurationMs = 2 ** 31 - 1;

/** Defaults that do not depend on the user and the host; `place.ts` has those that do. */
export const defaults = {
  socketMode: 0o660,
  allowRemote: false,
  adminAllowRemote: false,
  logLevel: 'info',
  server: { fastPath: true },
  /** Shares of the file system's size. */
  cache: { size: { share: 0.5 }, minFree: { share: 0.05 } },
  /** The best size in replays of recorded boots: docs/decision/0001-chunk-size.md. */
  imageDefault: { chunkSizeBytes: 256 * KiB, deadlineMs: 30_000, readaheadBytes: 8 * MiB },
  limit: {
    connectionCount: 1024,
    handshakeTimeoutMs: 10_000,
    requestsPerConnection: 256,
    bytesPerConnection: 64 * MiB,
    requestMemoryBytes: 512 * MiB,
  },
  /** By default the node donates the whole budget of its cache. */
  cluster: { name: 'default', autoRttUs: 500, maxMembers: 64, peers: 'strong' },
  etcd: { prefix: '/copse' },
} as const;
