/**
 * What nodes ask each other about disks, by the peer export `call`: the methods, their arguments and answers.
 *
 * Source: docs/reference/peer-protocol.md.
 */
import { z } from 'zod';
import { diskRecordSchema, epochSchema, forceSchema, maxEpoch, nodeRefSchema, ownerStateSchema } from './record.js';

const uuid = z.uuid();
const epoch = epochSchema;
const bytes = z.number().nonnegative();

/**
 * - `write`: a client of the asking node writes. `idle`: the owner's last client has left.
 * - `take`, `migrate`: an operator's word, which counts for disks that are handed over explicitly, too.
 */
export const handoverReasons = ['write', 'idle', 'take', 'migrate'] as const;
export type HandoverReason = (typeof handoverReasons)[number];

/** Of one call: its request has room for them. */
export const maxUuids = 1000;

/** A run of the disk, in bytes. */
const rangeSchema = z.tuple([z.int().nonnegative(), z.int().positive()]);

export const diskCalls = {
  /** What the node knows of a disk that it owns or has handed over; by name or uuid. Code `ERR_NO_SUCH_DISK`. */
  'disk.describe': {
    argument: z.object({ name: z.string().optional(), uuid: uuid.optional() }),
    answer: z.object({
      record: diskRecordSchema,
      state: ownerStateSchema.shape.state,
      epoch,
      /** Whom a granted disk was handed to; older nodes do not say whether that has accepted it. */
      to: nodeRefSchema.extend({ accepted: z.boolean().optional() }).optional(),
      dataBytes: bytes,
      forced: forceSchema.optional(),
    }),
  },
  /** The latest owners that the node knows of these disks; those that it knows nothing of are left out. */
  'disk.epoch': {
    argument: z.object({ uuids: z.array(uuid).max(1024) }),
    answer: z.object({ disks: z.array(z.object({ uuid, epoch, owner: nodeRefSchema })).max(1024) }),
  },
  /** The node's own latest word on who owns the disk, also when it has no block of it any more. It needs no lock there. */
  'disk.trace': {
    argument: z.object({ uuid }),
    answer: z.object({
      /** `none`: the node never owned it, or removed it. */
      state: z.enum(['owner', 'granted', 'none']),
      /** The last epoch under which the node owned it; 0: it never did. */
      epoch: z.int().nonnegative().max(maxEpoch),
      /** Whom it was granted to. */
      to: nodeRefSchema.optional(),
      forced: forceSchema.optional(),
      by: ownerStateSchema.shape.by,
    }),
  },
  /** Records of force that the node has of these disks, by uuid: for a node that was away and does not know whether its disks were taken. */
  'disk.forces': {
    argument: z.object({ uuids: z.array(uuid).max(maxUuids) }),
    answer: z.object({ forces: z.record(z.string(), forceSchema) }),
  },
  /** The asking node has taken the disk by force. The node keeps the record. */
  'disk.forced': { argument: z.object({ uuid, force: forceSchema }), answer: z.object({}) },
  /** Hands the disk over; the same answer again for the same node until it has accepted. Codes `ERR_NOT_OWNER`, `ERR_HANDOVER_EXPLICIT`, `ENOSPC` and `EIO` of the last flush. */
  'disk.handover': {
    argument: z.object({ uuid, to: nodeRefSchema, reason: z.enum(handoverReasons) }),
    answer: z.object({
      epoch,
      record: diskRecordSchema,
      nodes: ownerStateSchema.shape.nodes,
      /** Of the copy whose changes the giver has marked all the time until now; another copy is worth nothing. */
      copy: z.uuid().optional(),
      forced: forceSchema.optional(),
    }),
  },
  /** The asking node owns it now, durably. */
  'disk.accepted': { argument: z.object({ uuid, epoch, by: nodeRefSchema }), answer: z.object({}) },
  /** Whether a handover was accepted. `refused` is a promise: it never will be. */
  'disk.resolve': { argument: z.object({ uuid, epoch }), answer: z.object({ answer: z.enum(['accepted', 'pending', 'refused']) }) },
  /** Nobody needs the blocks any more that the node kept for later owners. */
  'disk.release': { argument: z.object({ uuid, epoch }), answer: z.object({}) },
  /** The owner asks a node whose clients are attached to take the disk. */
  'disk.invite': { argument: z.object({ uuid, reason: z.enum(handoverReasons) }), answer: z.object({ owner: z.boolean() }) },
  /** The owner has the node copy the overlay ahead, and warm what the disk reads of its image. */
  'disk.receive': {
    argument: z.object({
      record: diskRecordSchema,
      epoch,
      from: nodeRefSchema,
      /** Names the copy, until its owner has lost count of the changes. */
      copy: z.uuid(),
      nodes: ownerStateSchema.shape.nodes,
      touched: z.array(rangeSchema).max(4096),
    }),
    answer: z.object({}),
  },
  /** How far that is. */
  'disk.replica': {
    argument: z.object({ uuid }),
    answer: z.object({
      state: z.enum(['copying', 'following', 'failed', 'none']),
      /** Of the present round: what it has copied, and what it has to. */
      doneBytes: bytes,
      totalBytes: bytes,
      message: z.string().optional(),
    }),
  },
} as const;

export type DiskMethod = keyof typeof diskCalls;
export type ArgumentOf<M extends DiskMethod> = z.infer<(typeof diskCalls)[M]['argument']>;
export type AnswerOf<M extends DiskMethod> = z.infer<(typeof diskCalls)[M]['answer']>;
export type Handover = AnswerOf<'disk.handover'>;
