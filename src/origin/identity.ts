/**
 * Identity of an origin's content, as it is stored and sent: its one schema.
 *
 * Invariant: two contents with the same identity are the same bytes, as far as the origin promises
 * that.
 */
import { z } from 'zod';

const sizeBytes = z.number().min(0);

export const originIdentitySchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('http'), sizeBytes, etag: z.string().optional(), lastModified: z.string().optional() }),
  z.object({
    kind: z.literal('file'),
    sizeBytes,
    inode: z.string(),
    mtimeNs: z.string(),
    digest: z.string().optional().describe('`blake3:` and 64 hexadecimal digits, over the whole file; absent where no cluster needs it.'),
  }),
  z.object({ kind: z.literal('nbd'), sizeBytes }),
]);

/**
 * A strong ETag and a digest promise equal bytes. The other validators are the best that an origin
 * offers.
 */
export type OriginIdentity = z.infer<typeof originIdentitySchema>;
