/** Requests and answers of the admin API about disks. */
import { z } from 'zod';
import { bytes, count, deadlineMs, exportName, progressSchema } from './schema.js';

const handover = z.enum(['auto', 'explicit']);
const sizeBytes = z.int().min(1);

export const diskParamsSchema = z.object({ name: exportName.describe('Name of the disk, percent-encoded (a slash is %2F).') });

export const snapshotParamsSchema = diskParamsSchema.extend({ snapshot: exportName.describe('Name of the snapshot.') });

const diskCreateRequestSchema = z.strictObject({
  name: exportName,
  image: exportName.optional().describe('Image below the disk; absent: a blank disk.'),
  sizeBytes: sizeBytes.optional().describe("Default: the image's. Rounded up to 4096, and at least the image's."),
  handover: handover.optional(),
  multiConn: z.boolean().optional(),
  deadlineMs: deadlineMs.optional().describe("Deadline of a guest's request, in ms; 0 means none. Default: the daemon's."),
});

export type DiskCreateRequest = z.infer<typeof diskCreateRequestSchema>;

/** Body of the request that creates a disk. The name stands in the path. */
export const diskCreateSchema = diskCreateRequestSchema.omit({ name: true });

export const diskResizeSchema = z.strictObject({ sizeBytes });

export const diskTakeSchema = z.strictObject({
  force: z.boolean().optional().describe('True if the owner is lost for good.'),
  acceptLoss: z.boolean().optional().describe('True if the blocks that only the owner had may be lost, too.'),
});

export type DiskTakeOptions = z.infer<typeof diskTakeSchema>;

export const diskAcceptLossSchema = z.strictObject({
  confirmed: z.boolean().optional().describe('True if the caller knows which writes may be lost.'),
});

export type DiskAcceptLossOptions = z.infer<typeof diskAcceptLossSchema>;

export const diskPromoteSchema = z.strictObject({
  image: exportName.describe('Name of the new image.'),
  path: z.string().min(1).max(4096).optional().describe("Absolute path of its file on the daemon's host. Default: in the state directory."),
});

export const diskMigrateSchema = z.strictObject({ to: exportName.describe('Id of the node.') });

const snapshotStatusSchema = z.object({ name: z.string(), createdAt: z.string(), sizeBytes: bytes, dataBytes: bytes });

const diskLossSchema = z.object({
  at: z.string().optional().describe('Time of the failed sync; absent where the mark has no text.'),
  openedAt: z.string().optional().describe('Time at which the process of that time had opened the disk.'),
  lastSyncAt: z.string().optional().describe('Start of the last flush that succeeded before; absent: none did.'),
  error: z.string().optional().describe('Code of the failed sync.'),
  isMarked: z.boolean().describe('False if the mark could not be written beside the disk.'),
});

export const diskStatusSchema = z.object({
  name: z.string(),
  uuid: z.string(),
  sizeBytes: bytes,
  image: z.string().optional().describe("The image's name at the time the disk was created."),
  createdAt: z.string(),
  place: z
    .enum(['owner', 'elsewhere', 'unreachable', 'granted'])
    .describe(
      '`owner`: this node owns the disk. `elsewhere`: another node owns it and answers; a client here reads through that node. ' +
        '`unreachable`: the node that owns it does not answer. `granted`: this node has handed it over, which the other has not yet confirmed.',
    ),
  owner: z.string().describe('Node id.'),
  epoch: count,
  handover,
  multiConn: z.boolean(),
  connections: count.describe('Clients attached at the node that was asked.'),
  remoteConnections: z.array(z.string()).describe('Nodes that are attached for their clients.'),
  overlay: z
    .object({ dataBytes: bytes, zeroBytes: bytes, allocatedBytes: bytes.describe("Bytes on this host's disk.") })
    .optional()
    .describe('Absent on a node that is not the owner.'),
  toCome: z.array(z.object({ node: z.string(), bytes, reachable: z.boolean() })).describe('Blocks that are still on former owners.'),
  replica: z.object({ node: z.string(), behindBytes: bytes }).optional().describe('Copy that is made ahead of a handover.'),
  snapshots: z.array(snapshotStatusSchema),
  fences: z
    .array(z.object({ client: z.string(), by: z.string(), at: z.string() }))
    .describe('Clients that were displaced. They stay so until `take`.'),
  loss: diskLossSchema
    .optional()
    .describe('Data that a failed sync lost on this node. No flush succeeds until the loss is accepted. Times in ISO 8601.'),
  message: z.string().optional().describe('Obstacle, and its remedy.'),
});

export type DiskStatus = z.infer<typeof diskStatusSchema>;
export type DiskPlace = DiskStatus['place'];

export const diskTakeResultSchema = diskStatusSchema.extend({
  from: z.string().optional().describe('The former owner; absent if this node owned the disk already.'),
});

export type DiskTakeResult = z.infer<typeof diskTakeResultSchema>;

export const promoteResultSchema = progressSchema.extend({
  image: z.string(),
  path: z.string().describe("Absolute path on the daemon's host."),
  manifestPath: z.string(),
  digest: z.string(),
});

export type PromoteResult = z.infer<typeof promoteResultSchema>;

export const migrateResultSchema = progressSchema.extend({
  handedOver: z
    .boolean()
    .describe(
      'True if the other node owns the disk now. Else the next write there, or the end of the last connection here, hands it over.',
    ),
  message: z.string(),
});

export type MigrateResult = z.infer<typeof migrateResultSchema>;
