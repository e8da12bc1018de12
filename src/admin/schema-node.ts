/** Requests and answers of the admin API about the daemon as a whole. */
import { z } from 'zod';
import { amount, bytes, count, progressSchema } from './schema.js';

const cacheStatusSchema = z.object({
  budgetBytes: bytes,
  minFreeBytes: bytes,
  usedBytes: bytes,
  freeBytes: bytes,
  state: z.enum(['ok', 'full', 'broken']).describe('Unless `ok`, nothing is stored just now, and reads pass through.'),
  message: z.string().optional().describe('Cause of a state other than `ok`.'),
});

export type CacheStatus = z.infer<typeof cacheStatusSchema>;

const fastPathStatusSchema = z.object({
  enabled: z.boolean(),
  connections: count.describe('Connections that a native thread serves now.'),
  reads: count.describe('Reads answered natively since the start.'),
  coldReads: count.describe("Reads of these that waited for this host's disk."),
  writes: count.describe('Writes answered natively since the start.'),
  handedUp: count.describe('Requests on these connections that JavaScript answered.'),
});

export type FastPathStatus = z.infer<typeof fastPathStatusSchema>;

const statusWarningSchema = z.object({
  code: z.string().describe('Stable: `ERR_CLIENTS_HIDDEN`, `ERR_NAME_CONFLICT`, `ERR_NAME`.'),
  message: z.string().describe('The fault and its remedy.'),
});

/** A fault of a running daemon that an operator has to mend. */
export type StatusWarning = z.infer<typeof statusWarningSchema>;

export const daemonStatusSchema = z.object({
  version: z.string(),
  pid: count,
  uptimeSeconds: amount,
  stateDir: z.string(),
  listeners: z.array(z.string()).describe('NBD URIs without export names.'),
  adminListeners: z.array(z.string()).describe('Addresses of the admin API: `unix:PATH`, `tcp:HOST:PORT`.'),
  connections: count,
  fastPath: fastPathStatusSchema,
  cache: cacheStatusSchema,
  imageCount: count,
  residentBytes: bytes,
  troubles: z
    .array(z.string())
    .describe('A sentence for each disk here that lost data or takes no writes. `GET /healthz` answers 503 while there are any.'),
  warnings: z.array(statusWarningSchema),
});

export type DaemonStatus = z.infer<typeof daemonStatusSchema>;

export const drainResultSchema = progressSchema.extend({
  handedOnBytes: bytes.describe('Bytes of chunks that other homes took.'),
  lastCopiesLeft: count.describe('Chunks that no other node holds. They would come from the origin again.'),
  disksMoved: count.describe('Disks that another node now owns with all of their blocks.'),
  disksLeft: z.array(z.object({ name: z.string(), reason: z.string() })).describe('Disks that are still here, wholly or in part.'),
  safe: z.boolean().describe('True if the host may be switched off: no last copy, no disk and no client is left.'),
  message: z.string(),
});

export type DrainResult = z.infer<typeof drainResultSchema>;

const sourceSchema = z.enum(['cache', 'peer', 'origin']);
const sourceUseSchema = z.object({ reads: count, bytes, waitedMs: amount.describe('Time that guests waited, over all reads.') });

export const explanationSchema = z
  .object({
    name: z.string(),
    sources: z.object({ cache: sourceUseSchema, peer: sourceUseSchema, origin: sourceUseSchema }),
    peers: z.array(z.object({ id: z.string(), bytes, requests: count, failures: count, p50Ms: amount, p95Ms: amount })),
    slowest: z
      .array(z.object({ offset: bytes, lengthBytes: bytes, source: sourceSchema, ms: amount }))
      .describe('Reads that a guest waited longest for, the longest first.'),
    origin: z
      .object({ requests: count, bytes, chunks: count, uniqueChunks: count, retries: count })
      .describe('Requests of this node to the origin. `chunks` beyond `uniqueChunks` came more than once.'),
    text: z.array(z.string()).describe('Conclusions for an operator, a sentence a line.'),
  })
  .describe("Sources of an export's bytes since the daemon started.");

export type Explanation = z.infer<typeof explanationSchema>;
