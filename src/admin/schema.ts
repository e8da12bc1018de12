/**
 * The shapes that travel over the admin API, as zod schemas: requests are checked by them, answers documented.
 *
 * Invariant: each schema's output is the type of the same name in `control.ts`; the compiler holds them together.
 */
import { z } from 'zod';
import { sharePolicies } from '../config/schema.js';
import type { DaemonStatus, ImageAddRequest, ImageStatus } from './control.js';

export const bytes = z.number().min(0);
export const count = z.int().min(0);
export const deadlineMs = z
  .int()
  .min(0)
  .max(2 ** 31 - 1);

export const errorSchema = z
  .object({ code: z.string(), message: z.string() })
  .describe('What failed. `code` is stable and for programs, `message` is for people.');

export const imageParamsSchema = z.object({
  name: z.string().min(1).max(255).describe('Name of the image, percent-encoded (a slash is %2F).'),
});

/** The name stands in the path. */
export const imageAddSchema = z.strictObject({
  url: z.string().min(1).max(8192),
  format: z.string().min(1).max(64).optional(),
  chunkSizeBytes: z.int().min(1).optional(),
  deadlineMs: deadlineMs.optional(),
  backing: z.record(z.string().min(1).max(4096), z.string().min(1).max(255)).optional(),
  manifest: z.string().min(1).max(8192).optional(),
  digest: z.string().max(256).optional(),
  share: z.enum(sharePolicies).optional(),
  deep: z.boolean().optional(),
}) satisfies z.ZodType<Omit<ImageAddRequest, 'name'>>;

const identitySchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('http'), sizeBytes: bytes, etag: z.string().optional(), lastModified: z.string().optional() }),
  z.object({ kind: z.literal('file'), sizeBytes: bytes, inode: z.string(), mtimeNs: z.string() }),
  z.object({ kind: z.literal('nbd'), sizeBytes: bytes }),
]) satisfies z.ZodType<ImageStatus['identity']>;

export const guardSchema = z.enum(['manifest', 'etag', 'digest', 'trust', 'none']);

/** Of an image or a disk. */
export const renameSchema = z.strictObject({ name: z.string().min(1).max(255).describe('The new name.') });

export const imageStatusSchema = z.object({
  name: z.string(),
  url: z.string(),
  format: z.string(),
  sizeBytes: bytes,
  chunkSizeBytes: bytes,
  deadlineMs: z.number().min(0),
  identity: identitySchema,
  pinnedAt: z.string(),
  manifest: z.object({ url: z.string(), digest: z.string() }).optional(),
  share: z.enum(sharePolicies).optional(),
  guard: guardSchema.optional(),
  container: z.enum(['whole', 'unchecked']).optional(),
  origin: z.object({ health: z.enum(['unused', 'ok', 'unavailable', 'changed']), message: z.string().optional() }),
  cache: z.object({ cachedBytes: bytes, dataBytes: bytes, unverifiedBytes: bytes }),
  connections: count,
}) satisfies z.ZodType<ImageStatus>;

export const daemonStatusSchema = z.object({
  version: z.string(),
  pid: count,
  uptimeSeconds: z.number().min(0),
  stateDir: z.string(),
  listeners: z.array(z.string()),
  adminListeners: z.array(z.string()),
  connections: count,
  fastPath: z.object({ enabled: z.boolean(), connections: count, reads: count, coldReads: count, writes: count, handedUp: count }),
  cache: z.object({
    budgetBytes: bytes,
    minFreeBytes: bytes,
    usedBytes: bytes,
    freeBytes: bytes,
    state: z.enum(['ok', 'full', 'broken']),
    message: z.string().optional(),
  }),
  imageCount: count,
  residentBytes: bytes,
  troubles: z.array(z.string()),
  warnings: z.array(z.object({ code: z.string(), message: z.string() })),
}) satisfies z.ZodType<DaemonStatus>;
