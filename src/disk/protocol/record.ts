/**
 * What a disk is, and who owns it: the two records that lie in a disk's folder, `disk.json` and `owner.json`. A disk's name may be another's on another node; its uuid is its own.
 *
 * Source: docs/reference/formats.md, "A disk's folder".
 */
import { z } from 'zod';
import { imageRecordSchema } from '../../catalog/image-record.js';

export const nodeRefSchema = z.object({
  id: z.string().min(1).max(255),
  /** HOST:PORT where peers reach it. */
  address: z.string().max(300),
});

export type NodeRef = z.infer<typeof nodeRefSchema>;

/** Greatest epoch of a disk. It leaves room to add to an epoch without leaving the safe integers. */
export const maxEpoch = 2 ** 48;

export const epochSchema = z.int().positive().max(maxEpoch);

/** Record of a disk that was taken from a lost owner. It stands for the grant that nobody could give. */
export const forceSchema = z.object({
  /** The last epoch that the taker knew of; 0: none. */
  from: z.int().nonnegative().max(maxEpoch),
  /** The epoch under which the taker began to own the disk. */
  to: epochSchema,
  node: nodeRefSchema,
  /** ISO 8601 */
  at: z.string().max(40),
});

export type Force = z.infer<typeof forceSchema>;

export const handoverModes = ['auto', 'explicit'] as const;

/** Changes by resize and rename alone. */
export const diskRecordSchema = z.object({
  format: z.literal(1),
  name: z.string().min(1).max(255),
  uuid: z.uuid(),
  /** A multiple of 4096. What lies beyond the image reads as zeros. */
  sizeBytes: z.int().positive(),
  /** What lies below: name and pinned content, as it was when the disk was created. Absent: zeros. */
  image: z.object({ name: z.string(), content: imageRecordSchema.shape.content, share: imageRecordSchema.shape.share }).optional(),
  createdAt: z.string(),
  multiConn: z.boolean(),
  handover: z.enum(handoverModes),
  deadlineMs: z.number().nonnegative().optional(),
  /** How often it was renamed: of two records of one disk the one with the greater number has its name. Absent: never. */
  renames: z.int().positive().optional(),
});

export type DiskRecord = z.infer<typeof diskRecordSchema>;

/** Of two disks of one name the older one keeps it, on every node. */
export function olderFirst(left: DiskRecord, right: DiskRecord): number {
  const [one, other] = left.createdAt === right.createdAt ? [left.uuid, right.uuid] : [left.createdAt, right.createdAt];
  return one === other ? 0 : one < other ? -1 : 1;
}

/**
 * - `owner`: this node's overlay is the disk.
 * - `granted`: it was handed to `to` with epoch `epoch + 1`; this node never writes under `epoch` again. `accepted`: the other has said that it has it durably. The blocks stay until nobody needs them: `free`,
 *   which is told of those that stay all the same, for their snapshots, or since `to` took the disk by force.
 * - `incoming`: a copy that another owner's migration makes here ahead of a handover: nothing that anybody may rely on.
 */
export const ownerStateSchema = z.object({
  format: z.literal(1),
  state: z.enum(['owner', 'granted', 'incoming']),
  /** Grows with each change of owner; of `granted`, the last one under which this node owned it. */
  epoch: epochSchema,
  to: nodeRefSchema.extend({ accepted: z.boolean(), free: z.boolean().optional() }).optional(),
  /** File name of the map in force. A new one is written beside it, then named here. */
  map: z.string(),
  /** Where remote blocks are, by the node index of the map; 1 to 31, 0 is unused. */
  nodes: z.record(z.string().regex(/^(?:[1-9]|[12]\d|3[01])$/), nodeRefSchema.extend({ epoch: epochSchema })),
  /** The last force that led to this node's ownership. It travels with each handover. */
  forced: forceSchema.optional(),
  /** Grant that made this node the owner: the giver, and the last epoch under which it owned the disk. Absent: created here, or taken by force. */
  by: z.object({ id: z.string().max(255), epoch: epochSchema }).optional(),
});

export type OwnerState = z.infer<typeof ownerStateSchema>;
