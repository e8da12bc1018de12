/** Requests and answers of the admin API about images. */
import { z } from 'zod';
import { sharePolicies } from '../config/schema.js';
import { originIdentitySchema } from '../origin/identity.js';
import { amount, bytes, count, deadlineMs, exportName, progressSchema } from './schema.js';

export const imageParamsSchema = z.object({
  name: exportName.describe('Name of the image, percent-encoded (a slash is %2F).'),
});

const imageAddRequestSchema = z.strictObject({
  name: exportName,
  url: z.string().min(1).max(8192),
  format: z.string().min(1).max(64).optional().describe('`raw`, or a format of qemu-nbd. Default: detected by content.'),
  chunkSizeBytes: z.int().min(1).optional().describe("A power of two from 64 KiB to 1 MiB. Default: the daemon's."),
  deadlineMs: deadlineMs.optional().describe("Deadline of a guest's request, in ms; 0 means none. Default: the daemon's."),
  backing: z
    .record(z.string().min(1).max(4096), exportName)
    .optional()
    .describe('Backing files that the operator allows: the name that the image writes, and the image that stands for it.'),
  manifest: z
    .string()
    .min(1)
    .max(8192)
    .optional()
    .describe('URL or absolute path of the manifest that each chunk is verified against; only together with `digest`.'),
  digest: z.string().max(256).optional().describe("The manifest's own digest: `blake3:` and 64 hexadecimal digits."),
  share: z
    .enum(sharePolicies)
    .optional()
    .describe('Rule by which the cluster shares the chunks. Default: `auto`, if the identity is strong.'),
  deep: z.boolean().optional().describe('True if all allocation tables of a foreign format are read, however large.'),
});

export type ImageAddRequest = z.infer<typeof imageAddRequestSchema>;

/** Body of the request that adds an image. The name stands in the path. */
export const imageAddSchema = imageAddRequestSchema.omit({ name: true });

export const guardSchema = z
  .enum(['manifest', 'etag', 'digest', 'trust', 'none'])
  .describe("Guard of bytes that peers give: each chunk's digest, a strong ETag, the file's digest, the operator's word, or nothing.");

export type IdentityGuard = z.infer<typeof guardSchema>;

export const imageStatusSchema = z.object({
  name: z.string(),
  url: z.string(),
  format: z.string(),
  sizeBytes: bytes,
  chunkSizeBytes: bytes,
  deadlineMs: amount,
  identity: originIdentitySchema,
  pinnedAt: z.string().describe('ISO 8601.'),
  manifest: z.object({ url: z.string(), digest: z.string() }).optional(),
  share: z.enum(sharePolicies).optional().describe("The operator's choice."),
  guard: guardSchema.optional(),
  container: z
    .enum(['whole', 'unchecked'])
    .optional()
    .describe('Absent for `raw`. `whole`: the file has all bytes that its tables name. `unchecked`: its tables were too large to read.'),
  origin: z.object({
    health: z.enum(['unused', 'ok', 'unavailable', 'changed']),
    message: z.string().optional().describe('The last failure and its remedy.'),
  }),
  cache: z.object({
    cachedBytes: bytes.describe('Bytes of the image that this host holds, chunks of zeros included.'),
    dataBytes: bytes.describe("Bytes on this host's disk."),
    unverifiedBytes: bytes.describe('Bytes from before an unclean end that are not yet verified.'),
  }),
  connections: count,
});

export type ImageStatus = z.infer<typeof imageStatusSchema>;

export const warmResultSchema = progressSchema.extend({ fetchedBytes: bytes.describe('Bytes that came from the origin.') });
export type WarmResult = z.infer<typeof warmResultSchema>;

export const verifyResultSchema = progressSchema.extend({
  droppedBytes: bytes.describe('Bytes of chunks that failed their checksums. They are dropped, and fetched again when needed.'),
});
export type VerifyResult = z.infer<typeof verifyResultSchema>;

export const sealResultSchema = progressSchema.extend({
  manifestPath: z.string().describe("Absolute path on the daemon's host."),
  digest: z.string().describe("The manifest's own digest: `blake3:` and 64 hexadecimal digits."),
});
export type SealResult = z.infer<typeof sealResultSchema>;
