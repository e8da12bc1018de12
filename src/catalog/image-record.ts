/**
 * What the catalog knows of an image: its name, where its bytes come from, and what pins them.
 *
 * Invariant: a record is everything that is needed to serve the image; no origin has to be asked.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { isDigest } from '../base/digest-text.js';
import { originIdentitySchema } from '../origin/identity.js';

/** What a sealed image's bytes must match; of a foreign format the container's. */
const manifestSchema = z.object({
  /** Of the manifest: `blake3:` and 64 hexadecimal digits. */
  digest: z.string().refine(isDigest, 'a digest is blake3: and 64 hexadecimal digits'),
  /** Where it came from: a URL or an absolute path. Where it lies is no part of what it is. */
  url: z.string().optional(),
});

export type ManifestPin = z.infer<typeof manifestSchema>;

/** The bytes of an image, apart from its name: equal specs are served from one cache. */
const contentSchema = z.object({
  /** As the operator wrote it, absolute. */
  url: z.string(),
  identity: originIdentitySchema,
  /** `raw`, or what qemu-nbd decodes. */
  format: z.string(),
  /** Of the decoded content. */
  sizeBytes: z.number().int().positive(),
  /** The manifest's, of a sealed image. */
  chunkSizeBytes: z.number().int().positive(),
  manifest: manifestSchema.optional(),
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
  /** Whether the nodes of a cluster may give each other its chunks: `auto` (the default) where something tells equal bytes from others. */
  share: z.enum(['auto', 'trust', 'never']).optional(),
  pinnedAt: z.string(),
  /** Whether the file of a foreign format was seen to have all that its tables name. Absent: raw, or pinned before that was looked at. */
  container: z.enum(['whole', 'unchecked']).optional(),
  /** How often the name was changed in the catalog that all nodes share: of two records the one with the greater number is the later one. Absent: never shared. */
  generation: z.int().positive().optional(),
});

export type ImageRecord = z.infer<typeof imageRecordSchema>;

/**
 * Names a content on this host: 128 bits, hexadecimal. Contents with equal specs have equal ids. Of a sealed content neither counts where its manifest lies, nor what
 * its origin says to tell versions.
 */
export function contentId(spec: ContentSpec): string {
  return hashOf(essenceOf(spec));
}

/** 128 bits of SHA-256 over a value's canonical JSON, hexadecimal. */
export function hashOf(value: unknown): string {
  return createHash('sha256').update(canonical(value)).digest('hex').slice(0, 32);
}

function essenceOf(spec: ContentSpec): object {
  const { identity, manifest, backing } = spec;
  return {
    ...spec,
    ...(manifest && { identity: { kind: identity.kind, sizeBytes: identity.sizeBytes }, manifest: { digest: manifest.digest } }),
    backing: backing && Object.fromEntries(Object.entries(backing).map(([file, below]) => [file, essenceOf(below)])),
  };
}

/** JSON with sorted keys and without absent ones. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  entries.sort(([left], [right]) => (left < right ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(',')}}`;
}

/** The container of a foreign content, as a raw content of its own; of a raw content itself. A manifest is the container's. */
export function containerSpec(spec: ContentSpec): ContentSpec {
  const { url, identity, chunkSizeBytes, manifest } = spec;
  return { url, identity, format: 'raw', sizeBytes: identity.sizeBytes, chunkSizeBytes, ...(manifest === undefined ? {} : { manifest }) };
}

/** The spec and everything below it: containers and backing files. */
export function contentsUnder(spec: ContentSpec): ContentSpec[] {
  if (spec.format === 'raw') return [spec];
  return [spec, containerSpec(spec), ...Object.values(spec.backing ?? {}).flatMap(contentsUnder)];
}
