/**
 * Statement and record of a node. Membership keeps the record (in etcd, under a lease). A node
 * gives the statement to each node that asks, as the bytes of its peer export `node`.
 *
 * Source: docs/reference/peer-protocol.md.
 */
import { z } from 'zod';
import { nodeNamePattern } from '../base/node-name.js';

/**
 * Versions of the protocol between peers: export names, the meaning of requests, and these records.
 */
export const protocolVersion = { least: 1, greatest: 1 } as const;

export const nodeRecordSchema = z.object({
  /** Versions of the peer protocol that it speaks. */
  protocol: z.object({ least: z.int().positive(), greatest: z.int().positive() }),
  /** Version of the software, for people. */
  version: z.string().max(64),
  id: z.string().regex(nodeNamePattern),
  /** Random, made with the state directory: tells two nodes with one id apart. */
  token: z.string().max(64),
  cluster: z.string().regex(nodeNamePattern),
  /** HOST:PORT where peers reach it. */
  address: z.string().max(300),
  /**
   * Bytes that it gives to the cluster's cache. A node with 0 gives nothing and is never a home.
   */
  donatedBytes: z.number().nonnegative(),
  /** True if it hands its chunks on and is no home any more. */
  draining: z.boolean(),
});

export type NodeRecord = z.infer<typeof nodeRecordSchema>;

/** A content that a node serves to its peers, by the id that is the same on all nodes. */
export const sharedContentSchema = z.object({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  sizeBytes: z.number().int().positive(),
  chunkSizeBytes: z.number().int().positive(),
  /** True if its origin answers this node, as far as the node knows. */
  originReachable: z.boolean(),
});

export type SharedContent = z.infer<typeof sharedContentSchema>;

/** Largest epoch of a disk; `disk/protocol/record.ts` has the same. */
const maxEpoch = 2 ** 48;
/** Most IP addresses that a node names of its host. */
export const maxAddresses = 64;

export const nodeStatementSchema = nodeRecordSchema.extend({
  /** Start of the process: after a restart the node is another peer. */
  startedAt: z.string().max(40),
  usedBytes: z.number().nonnegative(),
  contents: z.array(sharedContentSchema).max(100_000),
  /** Names of the images and disks that guests are attached to. */
  attached: z.array(z.string().max(255)).max(100_000).default([]),
  /** Further IP addresses of its host. A host with several may connect from any of them. */
  addresses: z.array(z.string().max(64)).max(maxAddresses).optional(),
  /**
   * Disks that it owns. A disk's size tells other nodes of a resize, which changes no epoch. Nodes
   * before 0.2.0 do not send it.
   */
  disks: z
    .array(
      z.object({
        uuid: z.uuid(),
        epoch: z.int().positive().max(maxEpoch),
        sizeBytes: z.int().positive().optional(),
        renames: z.int().positive().optional(),
      }),
    )
    .max(100_000)
    .default([]),
});

export type NodeStatement = z.infer<typeof nodeStatementSchema>;

/** @returns the reason why two nodes can't talk; `undefined` if they can */
export function protocolMismatch(theirs: NodeRecord['protocol']): string | undefined {
  const { least, greatest } = protocolVersion;
  if (theirs.least <= greatest && theirs.greatest >= least) return undefined;
  return `it speaks peer protocol ${theirs.least} to ${theirs.greatest}, this node ${least} to ${greatest}: upgrade the older one`;
}

export type OwnedDisk = NodeStatement['disks'][number];
