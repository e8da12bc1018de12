/**
 * The shapes that travel over the admin API, as zod schemas: requests are checked by them, answers documented.
 *
 * Invariant: each schema's output is the type of the same name in `control.ts`; the compiler holds them together.
 */
import { z } from 'zod';
import type { DaemonStatus, ImageAddRequest, ImageStatus, Progress, VerifyResult, WarmResult } from './control.js';

const bytes = z.number().min(0);
const count = z.int().min(0);

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
  deadlineMs: z
    .int()
    .min(0)
    .max(2 ** 31 - 1)
    .optional(),
  backing: z.record(z.string().min(1).max(4096), z.string().min(1).max(255)).optional(),
}) satisfies z.ZodType<Omit<ImageAddRequest, 'name'>>;

const identitySchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('http'), sizeBytes: bytes, etag: z.string().optional(), lastModified: z.string().optional() }),
  z.object({ kind: z.literal('file'), sizeBytes: bytes, inode: z.string(), mtimeNs: z.string() }),
  z.object({ kind: z.literal('nbd'), sizeBytes: bytes }),
]) satisfies z.ZodType<ImageStatus['identity']>;

export const imageStatusSchema = z.object({
  name: z.string(),
  url: z.string(),
  format: z.string(),
  sizeBytes: bytes,
  chunkSizeBytes: bytes,
  deadlineMs: z.number().min(0),
  identity: identitySchema,
  pinnedAt: z.string(),
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
  connections: count,
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
}) satisfies z.ZodType<DaemonStatus>;

const progressShape = { doneBytes: bytes, totalBytes: bytes };

const progressLine = z.object({ type: z.literal('progress'), ...progressShape }) satisfies z.ZodType<Progress>;
const errorLine = z.object({ type: z.literal('error'), ...errorSchema.shape });
const warmResultLine = z.object({ type: z.literal('result'), ...progressShape, fetchedBytes: bytes }) satisfies z.ZodType<WarmResult>;
const verifyResultLine = z.object({ type: z.literal('result'), ...progressShape, droppedBytes: bytes }) satisfies z.ZodType<VerifyResult>;

/** Lines of a job's answer: any number of `progress`, then one `result` or `error`. */
export const warmLineSchema = z.discriminatedUnion('type', [progressLine, warmResultLine, errorLine]);
export const verifyLineSchema = z.discriminatedUnion('type', [progressLine, verifyResultLine, errorLine]);
