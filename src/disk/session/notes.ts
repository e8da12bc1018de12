/**
 * What this node has to remember of disks that it need not have: who writes to them, clients that were displaced from them, handovers that it promised never to accept, and those that it did accept, though it has let go of the disk since.
 * One small file, replaced as a whole.
 *
 * Invariant: durable before a call returns.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { CopseError, errorCode, errorMessage } from '../../base/error.js';
import { replaceFile } from '../../base/replace-file.js';
import { epochSchema, type Force, forceSchema, type NodeRef, nodeRefSchema } from '../protocol/record.js';

/** A client whose writes another client's have displaced. */
const fenceSchema = z.object({
  /** `ClientIdentity.key` */
  client: z.string(),
  /** For people. */
  by: z.string(),
  /** ISO 8601 */
  at: z.string(),
  /** Of the handover that displaced it; absent: another client of this node did, or force. */
  epoch: z.int().positive().optional(),
});

export type Fence = z.infer<typeof fenceSchema>;

/** `catalog/upgrade/disk-notes.ts` brings files of earlier versions to this format at start. */
const notesSchema = z.object({
  format: z.literal(1),
  /** By uuid. */
  fences: z.record(z.string(), z.array(fenceSchema)),
  /** By uuid: the highest epoch that is never accepted. */
  refused: z.record(z.string(), z.int().positive()),
  /** By uuid, of disks whose blocks are not here any more: the last epoch under which this node owned it. */
  held: z.record(z.string(), z.int().positive()),
  /** By uuid, of disks whose blocks are not here any more: the last grant from here. The chain of grants goes on after a release. */
  granted: z.record(z.string(), z.object({ epoch: epochSchema, to: nodeRefSchema })),
  /** By uuid: the last force that a member told of, and proved. */
  forced: z.record(z.string(), forceSchema),
  /** By uuid: the client that wrote last, while it is attached, or was when the process ended. */
  writers: z.record(z.string(), z.string()),
});

type Notes = z.infer<typeof notesSchema>;

/** Of one disk; the oldest go. A process that has ended leaves earlier. */
const maxFences = 64;
/** Notes of each kind, over all disks that have come and gone; the oldest go. They matter for as long as a former owner has not heard of its handover's end. */
const maxDisks = 10_000;

export interface DiskNotesOptions {
  path: string;
  /** Whether a client can come back at all; `undefined`: nobody knows. */
  isAlive(client: string): boolean | undefined;
}

export class DiskNotes {
  readonly #options: DiskNotesOptions;
  /** What the file says. */
  #notes: Notes;
  #isStopping = false;
  /** Uuid and client of each fence that was there when the process started. */
  readonly #restored: ReadonlySet<string>;

  /** @throws CopseError `ERR_STATE` when the file can't be read: going on without it could bring a displaced client back */
  constructor(options: DiskNotesOptions) {
    this.#options = options;
    this.#notes = read(options.path);
    this.#restored = new Set(
      Object.entries(this.#notes.fences).flatMap(([uuid, fences]) => fences.map(({ client }) => `${uuid} ${client}`)),
    );
  }

  fences(uuid: string): Fence[] {
    return this.#notes.fences[uuid] ?? [];
  }

  /** Fences of an earlier process of this daemon, unless their clients are known to have ended. */
  restoredFences(uuid: string): Fence[] {
    const { isAlive } = this.#options;
    return this.fences(uuid).filter(({ client }) => this.#restored.has(`${uuid} ${client}`) && isAlive(client) !== false);
  }

  fence(uuid: string, ...added: Fence[]): void {
    if (added.length === 0) return;
    const { isAlive } = this.#options;
    const clients = new Set(added.map(({ client }) => client));
    const others = this.fences(uuid).filter(({ client }) => !clients.has(client) && isAlive(client) !== false);
    this.#change((notes) => {
      notes.fences[uuid] = [...others, ...added].slice(-maxFences);
    });
  }

  /** All of the disk's, or those that match. */
  liftFences(uuid: string, which: (fence: Fence) => boolean = () => true): void {
    const fences = this.fences(uuid);
    const left = fences.filter((fence) => !which(fence));
    if (left.length === fences.length) return;
    this.#change((notes) => {
      if (left.length === 0) delete notes.fences[uuid];
      else notes.fences[uuid] = left;
    });
  }

  /** The client that wrote last, also before a restart, unless it has let go of the disk or is known to have ended. */
  writer(uuid: string): string | undefined {
    const client = this.#notes.writers[uuid];
    return client === undefined || this.#options.isAlive(client) === false ? undefined : client;
  }

  /** @param client `undefined`: it has let go of the disk */
  setWriter(uuid: string, client: string | undefined): void {
    if (this.#notes.writers[uuid] === client || (client === undefined && this.#isStopping)) return;
    this.#change((notes) => {
      if (client === undefined) delete notes.writers[uuid];
      else notes.writers[uuid] = client;
    });
  }

  /** From now on clients go because this node does. */
  stopping(): void {
    this.#isStopping = true;
  }

  /** 0: none was refused. */
  refusedEpoch(uuid: string): number {
    return this.#notes.refused[uuid] ?? 0;
  }

  refuse(uuid: string, epoch: number): void {
    if (this.refusedEpoch(uuid) >= epoch) return;
    this.#change((notes) => keep(notes.refused, uuid, epoch));
  }

  /** The last epoch under which this node owned a disk that it has no blocks of any more; 0: none. */
  heldEpoch(uuid: string): number {
    return this.#notes.held[uuid] ?? 0;
  }

  /**
   * To be told before the disk's files go: a former owner may not have heard yet that it was handed over, and asks some day.
   *
   * @param to the node that the disk was granted to under the next epoch; absent: it was removed here
   */
  hold(uuid: string, epoch: number, to?: NodeRef): void {
    const heldEpoch = Math.max(epoch, this.heldEpoch(uuid));
    this.#change(({ held, granted }) => {
      keep(held, uuid, heldEpoch);
      delete granted[uuid];
      if (to !== undefined && heldEpoch === epoch) keep(granted, uuid, { epoch, to: { id: to.id, address: to.address } });
    });
  }

  /** The last grant from here of a disk that this node has no blocks of any more. */
  grantOf(uuid: string): { epoch: number; to: NodeRef } | undefined {
    return this.#notes.granted[uuid];
  }

  /** The last force that a member proved. */
  forceOf(uuid: string): Force | undefined {
    return this.#notes.forced[uuid];
  }

  /** To be told only of a force that was proven. */
  force(uuid: string, force: Force): void {
    if ((this.forceOf(uuid)?.to ?? 0) >= force.to) return;
    this.#change((notes) => keep(notes.forced, uuid, force));
  }

  /** The disk is gone for good. What was promised of it stays. */
  forget(uuid: string): void {
    this.liftFences(uuid);
    this.setWriter(uuid, undefined);
  }

  /** When the file can't be replaced (a full disk, say) nothing is changed here either: who tries again writes again. */
  #change(change: (notes: Notes) => void): void {
    const notes = structuredClone(this.#notes);
    change(notes);
    replaceFile(this.#options.path, `${JSON.stringify(notes, undefined, 2)}\n`);
    this.#notes = notes;
  }
}

/** Puts it last, and drops the oldest where there are too many. */
function keep<T>(notes: Record<string, T>, uuid: string, note: T): void {
  delete notes[uuid];
  notes[uuid] = note;
  const [oldest] = Object.keys(notes);
  if (oldest !== undefined && Object.keys(notes).length > maxDisks) delete notes[oldest];
}

function read(path: string): Notes {
  try {
    return notesSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return { format: 1, fences: {}, refused: {}, held: {}, granted: {}, forced: {}, writers: {} };
    throw new CopseError(
      'ERR_STATE',
      `${path} can't be read: ${errorMessage(error)}; restore it, or remove it if no disk was ever moved or fenced here`,
      {
        cause: error,
      },
    );
  }
}
