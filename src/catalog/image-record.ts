/**
 * The catalog's record of an image: its name, the source of its bytes, and the pin of these.
 *
 * Invariant: a record has everything that serving the image takes; no origin has to be asked.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { isDigest } from '../base/digest-text.js';
import { originIdentitySchema } from '../origin/identity.js';

/** The manifest of a sealed image; for a foreign format that of the container. */
const manifestSchema = z.object({
  /** Digest of the manifest: `blake3:` and 64 hexadecimal digits. */
  digest: z.string().refine(isDigest, 'a digest is blake3: and 64 hexadecimal digits'),
  /** Source of the manifest, a URL or an absolute path. The source is no part of its identity. */
  url: z.string().optional(),
});

export type ManifestPin = z.infer<typeof manifestSchema>;

/** The bytes of an image, apart from its name: equal specs are served from one cache. */
const contentSchema = z.object({
  /** URL as the operator wrote it, absolute. */
  url: z.string(),
  identity: originIdentitySchema,
  /** `raw`, or a format that qemu-nbd decodes. */
  format: z.string(),
  /** Size of the decoded content, in bytes. */
  sizeBytes: z.number().int().positive(),
  /** Chunk size in bytes; for a sealed image the manifest's. */
  chunkSizeBytes: z.number().int().positive(),
  manifest: manifestSchema.optional(),
  /**
   * Backing files by the name that the image writes, as contents of their own, pinned with this
   * one.
   */
  get backing() {
    return z.record(z.string(), contentSchema).optional();
  },
});

export type ContentSpec = z.infer<typeof contentSchema>;

export const imageRecordSchema = z.object({
  version: z.literal(1),
  name: z.string(),
  content: contentSchema,
  /** The operator's own deadline, in ms; absent for the node's default. */
  deadlineMs: z.number().nonnegative().optional(),
  /** Backing images of the request that added it, to recognise an equal request. */
  backingImages: z.record(z.string(), z.string()).optional(),
  /**
   * Policy of sharing among the nodes of a cluster: `auto` (the default) shares if something tells
   * equal bytes from others.
   */
  share: z.enum(['auto', 'trust', 'never']).optional(),
  pinnedAt: z.string(),
  /**
   * `whole` if the file of a foreign format has all that its tables name. Absent for raw images,
   * and for those that were pinned before Copse checked that.
   */
  container: z.enum(['whole', 'unchecked']).optional(),
  /**
   * Number of changes of the name in the shared catalog: of two records the one with the greater
   * number is the later one. Absent if it was never shared.
   */
  generation: z.int().positive().optional(),
});

export type ImageRecord = z.infer<typeof imageRecordSchema>;

/**
 * Names a content on this host: 128 bits, hexadecimal. Contents with equal specs have equal ids.
 * For a sealed content, neither the place of its manifest nor the validators of its origin count.
 */
export function contentId(spec: ContentSpec): string {
  return hashOf(essenceOf(spec));
}

/** @returns 128 bits of SHA-256 over a value's canonical JSON, hexadecimal */
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

/** @returns JSON with sorted keys and without absent ones */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  entries.sort(([left], [right]) => (left < right ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(',')}}`;
}

/**
 * @returns the container of a foreign content, as a raw content of its own; a raw content itself. A
 * manifest is the container's
 */
export function containerSpec(spec: ContentSpec): ContentSpec {
  const { url, identity, chunkSizeBytes, manifest } = spec;
  return { url, identity, format: 'raw', sizeBytes: identity.sizeBytes, chunkSizeBytes, ...(manifest === undefined ? {} : { manifest }) };
}

/** @returns the spec and everything below it: containers and backing files */
export function contentsUnder(spec: ContentSpec): ContentSpec[] {
  if (spec.format === 'raw') return [spec];
  return [spec, containerSpec(spec), ...Object.values(spec.backing ?? {}).flatMap(contentsUnder)];
}
