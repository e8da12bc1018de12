/** Lines that tell of a job: any number of `progress`, then one `result` or `error`. */
import { z } from 'zod';
import { errorSchema, progressSchema } from './schema.js';
import { migrateResultSchema, promoteResultSchema } from './schema-disk.js';
import { sealResultSchema, verifyResultSchema, warmResultSchema } from './schema-image.js';
import { drainResultSchema } from './schema-node.js';

const progressLine = z.object({ type: z.literal('progress'), ...progressSchema.shape });
const errorLine = z.object({ type: z.literal('error'), ...errorSchema.shape });

function lineSchema<Shape extends z.ZodRawShape>(result: z.ZodObject<Shape>) {
  return z.discriminatedUnion('type', [progressLine, z.object({ type: z.literal('result'), ...result.shape }), errorLine]);
}

export const plainLineSchema = lineSchema(progressSchema);
export const warmLineSchema = lineSchema(warmResultSchema);
export const verifyLineSchema = lineSchema(verifyResultSchema);
export const sealLineSchema = lineSchema(sealResultSchema);
export const drainLineSchema = lineSchema(drainResultSchema);
export const promoteLineSchema = lineSchema(promoteResultSchema);
export const migrateLineSchema = lineSchema(migrateResultSchema);
