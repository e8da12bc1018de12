/**
 * The shapes of what a daemon is asked about disks, and of what it tells of them.
 *
 * Invariant: each schema's output is the type of the same name in `control-disk.ts`; the compiler holds them together.
 */
import { z } from 'zod';
import type { DiskCreateRequest, DiskLossStatus, DiskStatus, DiskTakeResult, SnapshotStatus } from './control-disk.js';
import { bytes, count, deadlineMs } from './schema.js';

const name = z.string().min(1).max(255);
const handover = z.enum(['auto', 'explicit']);
const sizeBytes = z.int().min(1);

export const diskParamsSchema = z.object({ name: name.describe('Name of the disk, percent-encoded (a slash is %2F).') });

export const snapshotParamsSchema = diskParamsSchema.extend({ snapshot: name.describe('Name of the snapshot.') });

/** The name stands in the path. */
export const diskCreateSchema = z.strictObject({
  image: name.optional().describe('What the disk lies over; absent: a blank disk.'),
  sizeBytes: sizeBytes.optional().describe("Default: the image's. Rounded up to 4096."),
  handover: handover.optional(),
  multiConn: z.boolean().optional(),
  deadlineMs: deadlineMs.optional(),
}) satisfies z.ZodType<Omit<DiskCreateRequest, 'name'>>;

export const diskResizeSchema = z.strictObject({ sizeBytes });

export const diskTakeSchema = z.strictObject({
  force: z.boolean().optional().describe('Its owner is lost for good.'),
  acceptLoss: z.boolean().optional().describe('So are the blocks that only the owner had.'),
});

export const diskAcceptLossSchema = z.strictObject({
  confirmed: z.boolean().optional().describe('The caller knows which writes may be lost.'),
});

export const diskPromoteSchema = z.strictObject({
  image: name.describe('Name of the new image.'),
  path: z
    .string()
    .min(1)
    .max(4096)
    .optional()
    .describe("Where its file goes on the daemon's host: absolute. Default: in the state directory."),
});

export const diskMigrateSchema = z.strictObject({ to: name.describe('Id of the node.') });

const snapshotStatusSchema = z.object({
  name: z.string(),
  createdAt: z.string(),
  sizeBytes: bytes,
  dataBytes: bytes,
}) satisfies z.ZodType<SnapshotStatus>;

const diskLossSchema = z.object({
  at: z.string().optional(),
  openedAt: z.string().optional(),
  lastSyncAt: z.string().optional(),
  error: z.string().optional(),
  isMarked: z.boolean(),
}) satisfies z.ZodType<DiskLossStatus>;

export const diskStatusSchema = z.object({
  name: z.string(),
  uuid: z.string(),
  sizeBytes: bytes,
  image: z.string().optional(),
  createdAt: z.string(),
  place: z.enum(['owner', 'elsewhere', 'unreachable', 'granted']),
  owner: z.string(),
  epoch: count,
  handover,
  multiConn: z.boolean(),
  connections: count,
  remoteConnections: z.array(z.string()),
  overlay: z.object({ dataBytes: bytes, zeroBytes: bytes, allocatedBytes: bytes }).optional(),
  toCome: z.array(z.object({ node: z.string(), bytes, reachable: z.boolean() })),
  replica: z.object({ node: z.string(), behindBytes: bytes }).optional(),
  snapshots: z.array(snapshotStatusSchema),
  fences: z.array(z.object({ client: z.string(), by: z.string(), at: z.string() })),
  loss: diskLossSchema.optional(),
  message: z.string().optional(),
}) satisfies z.ZodType<DiskStatus>;

export const diskTakeResultSchema = diskStatusSchema.extend({ from: z.string().optional() }) satisfies z.ZodType<DiskTakeResult>;
