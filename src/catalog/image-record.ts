/**
 * What the catalog knows of an image: its name, where its bytes come from, and what pins them.
 *
 * Invariant: a record is everything that is needed to serve the image; no origin has to be asked.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { CopseError } from '../base/error.js';
import { formatSize, KiB, MiB } from '../base/size.js';

const identitySchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('http'), sizeBytes: z.number(), etag: z.string().optional(), lastModified: z.string().optional() }),
  z.object({ kind: z.literal('file'), sizeBytes: z.number(), inode: z.string(), mtimeNs: z.string() }),
  z.object({ kind: z.literal('nbd'), sizeBytes: z.number() }),
]);

/** The bytes of an image, apart from its name: equal specs are served from one cache. */
const contentSchema = z.object({
  /** As the operator wrote it, absolute. */
  url: z.string(),
  identity: identitySchema,
  /** `raw`, or what qemu-nbd decodes. */
  format: z.string(),
  /** Of the decoded content. */
  sizeBytes: z.number().int().positive(),
  chunkSizeBytes: z.number().int().positive(),
  /** Backing files by the name that the image writes, as contents of their own, pinned with this one. */
  get backing() {
    return z.record(z.string(), contentSchema).optional();
  },
});

export type ContentSpec = z.infer<typeof contentSchema>;

export const imageRecordSchema = z.object({
  version: z.literal(1),
  name: z.string(),
  content: contentSchema,
  /** The operator's own; the node's default when absent. */
  deadlineMs: z.number().nonnegative().optional(),
  /** As in the request that added it, to tell whether another is the same. */
  backingImages: z.record(z.string(), z.string()).optional(),
  pinnedAt: z.string(),
});

export type ImageRecord = z.infer<typeof imageRecordSchema>;

const namePattern = /^[A-Za-z0-9_-][A-Za-z0-9._/-]{0,254}$/;

/** @throws CopseError `ERR_NAME` */
export function checkImageName(name: string): void {
  if (namePattern.test(name)) return;
  throw new CopseError(
    'ERR_NAME',
    `"${name}" can't be an image's name: use 1 to 255 letters, digits, and . _ - /, and begin with a letter, a digit, - or _`,
  );
}

/** @throws CopseError `ERR_OPTION` unless it is a power of two from 64 KiB to 1 MiB */
export function checkChunkSize(chunkSizeBytes: number): void {
  if (Number.isInteger(Math.log2(chunkSizeBytes)) && chunkSizeBytes >= 64 * KiB && chunkSizeBytes <= MiB) return;
  throw new CopseError('ERR_OPTION', `chunk size ${formatSize(chunkSizeBytes)}: use a power of two from 64K to 1M`);
}

/** Names a content beyond its URL: 128 bits, hexadecimal. Contents with equal specs have equal ids. */
export function contentId(spec: ContentSpec): string {
  return createHash('sha256').update(canonical(spec)).digest('hex').slice(0, 32);
}

/** JSON with sorted keys and without absent ones. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  entries.sort(([left], [right]) => (left < right ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(',')}}`;
}

/** The container of a foreign content, as a raw content of its own. */
export function containerSpec(spec: ContentSpec): ContentSpec {
  const { url, identity, chunkSizeBytes } = spec;
  return { url, identity, format: 'raw', sizeBytes: identity.sizeBytes, chunkSizeBytes };
}

/** The spec and everything below it: containers and backing files. */
export function contentsUnder(spec: ContentSpec): ContentSpec[] {
  if (spec.format === 'raw') return [spec];
  return [spec, containerSpec(spec), ...Object.values(spec.backing ?? {}).flatMap(contentsUnder)];
}
