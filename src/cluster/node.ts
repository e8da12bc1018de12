/**
 * What a node says of itself. The record is what membership keeps (in etcd, under a lease); the statement is what the node tells whoever asks it, as the
 * bytes of its peer export `node`.
 *
 * Source: docs/reference/peer-protocol.md.
 */
import { z } from 'zod';
import { nodeNamePattern } from '../base/node-name.js';

/** What peers speak to each other: export names, what their requests mean, and these records. */
export const protocolVersion = { least: 1, greatest: 1 } as const;

export const nodeRecordSchema = z.object({
  /** Versions of the peer protocol that it speaks. */
  protocol: z.object({ least: z.int().positive(), greatest: z.int().positive() }),
  /** Of the software, for people. */
  version: z.string().max(64),
  id: z.string().regex(nodeNamePattern),
  /** Random, made with the state directory: tells two nodes with one id apart. */
  token: z.string().max(64),
  cluster: z.string().regex(nodeNamePattern),
  /** HOST:PORT where peers reach it. */
  address: z.string().max(300),
  /** What it gives to the cluster's cache; 0 gives nothing, and is never a home. */
  donatedBytes: z.number().nonnegative(),
  /** It hands its chunks on and is no home any more. */
  draining: z.boolean(),
});

export type NodeRecord = z.infer<typeof nodeRecordSchema>;

/** A content that a node serves to its peers, by the id that is the same on all nodes. */
export const sharedContentSchema = z.object({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  sizeBytes: z.number().int().positive(),
  chunkSizeBytes: z.number().int().positive(),
  /** Its origin answers this node, as far as the node knows. */
  originReachable: z.boolean(),
});

export type SharedContent = z.infer<typeof sharedContentSchema>;

/** Of disks: `disk/protocol/record.ts` has the same. */
const maxEpoch = 2 ** 48;
/** IP addresses that a node names of its host. */
export const maxAddresses = 64;

export const nodeStatementSchema = nodeRecordSchema.extend({
  /** Of the process: a restart is a new one. */
  startedAt: z.string().max(40),
  usedBytes: z.number().nonnegative(),
  contents: z.array(sharedContentSchema).max(100_000),
  /** Names of the images and disks that guests are attached to. */
  attached: z.array(z.string().max(255)).max(100_000).default([]),
  /** Further IP addresses of its host. A host with several may connect from any of them. */
  addresses: z.array(z.string().max(64)).max(maxAddresses).optional(),
  /** What it owns. A disk's size tells others of a resize, which changes no epoch; nodes before 0.2.0 do not say it. */
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

/** Why two nodes can't talk; `undefined` when they can. */
export function protocolMismatch(theirs: NodeRecord['protocol']): string | undefined {
  const { least, greatest } = protocolVersion;
  if (theirs.least <= greatest && theirs.greatest >= least) return undefined;
  return `it speaks peer protocol ${theirs.least} to ${theirs.greatest}, this node ${least} to ${greatest}: upgrade the older one`;
}

export type OwnedDisk = NodeStatement['disks'][number];
