/**
 * Requests and answers of the admin API about the cluster.
 *
 * Invariant: an optional field is absent if the node that was asked does not know its value; it
 * never stands for zero.
 */
import { z } from 'zod';
import { amount, bytes, count } from './schema.js';
import { guardSchema } from './schema-image.js';

const memberStatusSchema = z.object({
  id: z.string().describe("The node's own name; its address until the node has told its name."),
  address: z.string().describe('HOST:PORT'),
  state: z
    .enum(['self', 'up', 'down', 'draining', 'incompatible', 'conflict'])
    .describe(
      '`self`: the node that was asked. `up`: it answers pings. `draining`: it answers, hands its chunks on and is no home. ' +
        '`down`: it can not be reached, or is silent beyond the ping timeout. `incompatible`: the versions share no peer protocol. ' +
        '`conflict`: its cluster is another one, or its id is taken.',
    ),
  message: z.string().optional().describe('Cause of the state, and the remedy.'),
  version: z.string().optional().describe('Version of its software.'),
  donatedBytes: bytes.optional(),
  usedBytes: bytes.optional(),
  rttUs: amount.optional().describe('Round trip of a ping, in µs.'),
  breaker: z.enum(['closed', 'open', 'half-open']).describe('State of the breaker for requests to the peer; `closed` lets them through.'),
  setAside: z
    .array(z.object({ image: z.string(), reason: z.string(), seconds: amount }))
    .describe('Images for which this peer is not asked, because it sent wrong bytes, and for how long already.'),
});

export type MemberStatus = z.infer<typeof memberStatusSchema>;

export const clusterStatusSchema = z.object({
  enabled: z.boolean().describe('False on a node that is in no cluster.'),
  node: z.object({ id: z.string(), address: z.string().optional(), donatedBytes: bytes, draining: z.boolean() }),
  name: z.string().describe('Name of the cluster.'),
  reason: z.string().describe('Reason for this cluster: the configuration, or a measurement.'),
  membership: z
    .object({ kind: z.enum(['none', 'static', 'etcd']), well: z.boolean(), message: z.string().optional() })
    .describe('Source of the list of members. Unless `well`, the last known list is in force.'),
  cutOff: z.boolean().describe('True if there are other members and none answers. This node then asks origins itself.'),
  members: z.array(memberStatusSchema).describe('This node first, the others sorted by id.'),
});

export type ClusterStatus = z.infer<typeof clusterStatusSchema>;

/**
 * Body of the request that moves a node. The route checks the name, whose error has a code of its
 * own.
 */
export const clusterMoveSchema = z.strictObject({ name: z.string().min(1).max(255).describe('A name, or auto.') });

export const clusterMoveResultSchema = z.object({
  name: z.string().describe('Cluster that the node is in, or will be in.'),
  takesEffect: z.enum(['now', 'at-restart']),
  message: z.string(),
});

export type ClusterMoveResult = z.infer<typeof clusterMoveResultSchema>;

export const clusterImageStatusSchema = z.object({
  name: z.string(),
  id: z.string().optional().describe('32 hexadecimal digits, equal on all nodes that serve the same bytes; absent if not shared.'),
  guard: guardSchema,
  shared: z.boolean(),
  reason: z.string().optional().describe('Reason why the image is shared, or not.'),
  chunkCount: count,
  heldChunks: count.describe('Chunks that at least one live node holds.'),
  copies: z.object({ least: amount, average: amount, greatest: amount }).describe('Copies of each chunk that any node holds.'),
  touchedChunks: count.optional().describe('Chunks that guests have read.'),
  touchedHeldChunks: count.optional(),
  servableWithoutOrigin: z
    .enum(['whole', 'touched', 'no'])
    .describe('Part that the cluster can serve with the origin dead: all of it, all that guests have read so far, or less.'),
  nodes: z.array(
    z.object({ id: z.string(), heldBytes: bytes, touched: count.optional().describe("Chunks that the node's guests have read.") }),
  ),
});

export type ClusterImageStatus = z.infer<typeof clusterImageStatusSchema>;
