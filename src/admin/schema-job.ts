/**
 * The lines that tell of a job: any number of `progress`, then one `result` or `error`.
 *
 * Invariant: each result is the type of the same name in `control.ts`; the compiler holds them together.
 */

import { z } from 'zod';
import type { Progress } from '../base/job.js';
import type { DrainResult, MigrateResult, PromoteResult, SealResult, VerifyResult, WarmResult } from './control.js';
import { bytes, count, errorSchema } from './schema.js';

const progressShape = { doneBytes: bytes, totalBytes: bytes };

const progressLine = z.object({ type: z.literal('progress'), ...progressShape }) satisfies z.ZodType<Progress>;
const errorLine = z.object({ type: z.literal('error'), ...errorSchema.shape });

const resultShape = { type: z.literal('result'), ...progressShape };
const warmResult = z.object({ ...resultShape, fetchedBytes: bytes }) satisfies z.ZodType<WarmResult>;
const verifyResult = z.object({ ...resultShape, droppedBytes: bytes }) satisfies z.ZodType<VerifyResult>;
const sealResult = z.object({ ...resultShape, manifestPath: z.string(), digest: z.string() }) satisfies z.ZodType<SealResult>;
const drainResult = z.object({
  ...resultShape,
  handedOnBytes: bytes,
  lastCopiesLeft: count,
  disksMoved: count,
  disksLeft: z.array(z.object({ name: z.string(), reason: z.string() })),
  safe: z.boolean(),
  message: z.string(),
}) satisfies z.ZodType<DrainResult>;

const plainResult = z.object(resultShape) satisfies z.ZodType<Progress>;
const promoteResult = z.object({
  ...resultShape,
  image: z.string(),
  path: z.string(),
  manifestPath: z.string(),
  digest: z.string(),
}) satisfies z.ZodType<PromoteResult>;
const migrateResult = z.object({ ...resultShape, handedOver: z.boolean(), message: z.string() }) satisfies z.ZodType<MigrateResult>;

export const warmLineSchema = z.discriminatedUnion('type', [progressLine, warmResult, errorLine]);
export const verifyLineSchema = z.discriminatedUnion('type', [progressLine, verifyResult, errorLine]);
export const sealLineSchema = z.discriminatedUnion('type', [progressLine, sealResult, errorLine]);
export const drainLineSchema = z.discriminatedUnion('type', [progressLine, drainResult, errorLine]);
export const plainLineSchema = z.discriminatedUnion('type', [progressLine, plainResult, errorLine]);
export const promoteLineSchema = z.discriminatedUnion('type', [progressLine, promoteResult, errorLine]);
export const migrateLineSchema = z.discriminatedUnion('type', [progressLine, migrateResult, errorLine]);
