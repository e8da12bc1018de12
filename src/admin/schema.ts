/** Parts that schemas of the admin API share. */
import { z } from 'zod';
import { errorCodes } from '../base/error-code.js';
import { maxExportNameLength } from '../base/export-name.js';
import { maxDurationMs } from '../config/schema.js';

export const bytes = z.number().min(0);
export const count = z.int().min(0);
export const amount = z.number().min(0);
export const deadlineMs = z.int().min(0).max(maxDurationMs);
/**
 * Lets any name pass that may be in use. The daemon checks names of new exports, whose error has a
 * code of its own.
 */
export const exportName = z.string().min(1).max(maxExportNameLength);

export const errorSchema = z
  .object({ code: z.string().meta({ examples: [...errorCodes] }), message: z.string() })
  .describe('What failed. `code` is stable and for programs, `message` is for people.');

/** Body of a request that renames an image or a disk. */
export const renameSchema = z.strictObject({ name: exportName.describe('The new name.') });

export const progressSchema = z.object({ doneBytes: bytes, totalBytes: bytes });
