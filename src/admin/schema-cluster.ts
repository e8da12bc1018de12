/**
 * The shapes of what a daemon tells of its cluster, and of what it is asked.
 *
 * Invariant: each schema's output is the type of the same name in `control-cluster.ts`; the compiler holds them together.
 */
import { z } from 'zod';
import type { ClusterImageStatus, ClusterMoveResult, ClusterStatus, Explanation, MemberStatus } from './control-cluster.js';
import { bytes, count, guardSchema } from './schema.js';

const number = z.number().min(0);

const memberStatusSchema = z.object({
  id: z.string(),
  address: z.string(),
  state: z.enum(['self', 'up', 'down', 'draining', 'incompatible', 'conflict']),
  message: z.string().optional(),
  version: z.string().optional(),
  donatedBytes: bytes.optional(),
  usedBytes: bytes.optional(),
  rttUs: number.optional(),
  breaker: z.enum(['closed', 'open', 'half-open']),
  setAside: z.array(z.object({ image: z.string(), reason: z.string(), seconds: number })),
}) satisfies z.ZodType<MemberStatus>;

export const clusterStatusSchema = z.object({
  enabled: z.boolean(),
  node: z.object({ id: z.string(), address: z.string().optional(), donatedBytes: bytes, draining: z.boolean() }),
  name: z.string(),
  reason: z.string(),
  membership: z.object({ kind: z.enum(['none', 'static', 'etcd']), well: z.boolean(), message: z.string().optional() }),
  cutOff: z.boolean(),
  members: z.array(memberStatusSchema),
}) satisfies z.ZodType<ClusterStatus>;

/** The name itself is checked where it is used: its error has a code of its own. */
export const clusterMoveSchema = z.strictObject({ name: z.string().min(1).max(255).describe('A name, or auto.') });

export const clusterMoveResultSchema = z.object({
  name: z.string(),
  takesEffect: z.enum(['now', 'at-restart']),
  message: z.string(),
}) satisfies z.ZodType<ClusterMoveResult>;

export const clusterImageStatusSchema = z.object({
  name: z.string(),
  id: z.string().optional(),
  guard: guardSchema,
  shared: z.boolean(),
  reason: z.string().optional(),
  chunkCount: count,
  heldChunks: count,
  copies: z.object({ least: number, average: number, greatest: number }),
  touchedChunks: count.optional(),
  touchedHeldChunks: count.optional(),
  servableWithoutOrigin: z.enum(['whole', 'touched', 'no']),
  nodes: z.array(z.object({ id: z.string(), heldBytes: bytes, touched: count.optional() })),
}) satisfies z.ZodType<ClusterImageStatus>;

const sourceUseSchema = z.object({ reads: count, bytes, waitedMs: number });

export const explanationSchema = z.object({
  name: z.string(),
  sources: z.object({ cache: sourceUseSchema, peer: sourceUseSchema, origin: sourceUseSchema }),
  peers: z.array(z.object({ id: z.string(), bytes, requests: count, failures: count, p50Ms: number, p95Ms: number })),
  slowest: z.array(z.object({ offset: bytes, lengthBytes: bytes, source: z.enum(['cache', 'peer', 'origin']), ms: number })),
  origin: z.object({ requests: count, bytes, chunks: count, uniqueChunks: count, retries: count }),
  text: z.array(z.string()),
}) satisfies z.ZodType<Explanation>;
