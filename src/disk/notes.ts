/**
 * What this node has to remember of disks that it need not have: clients that were displaced from them, and handovers that it promised never to accept. One small file, replaced as a whole.
 *
 * Invariant: durable before a call returns.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { CopseError, errorCode, errorMessage } from '../base/error.js';
import { replaceFile } from '../base/replace-file.js';

/** A client whose writes another client's have displaced. */
const fenceSchema = z.object({
  /** `ClientIdentity.key` */
  client: z.string(),
  /** For people. */
  by: z.string(),
  /** ISO 8601 */
  at: z.string(),
});

export type Fence = z.infer<typeof fenceSchema>;

const notesSchema = z.object({
  format: z.literal(1),
  /** By uuid. */
  fences: z.record(z.string(), z.array(fenceSchema)),
  /** By uuid: the highest epoch that is never accepted. */
  refused: z.record(z.string(), z.int().positive()),
});

/** Of one disk; the oldest go. A process that has ended leaves earlier. */
const mostFences = 64;

export interface DiskNotesOptions {
  path: string;
  /** Whether a client can come back at all; `undefined`: nobody knows. */
  isAlive(client: string): boolean | undefined;
}

export class DiskNotes {
  readonly #options: DiskNotesOptions;
  readonly #notes: z.infer<typeof notesSchema>;

  /** @throws CopseError `ERR_STATE` when the file can't be read: going on without it could bring a displaced client back */
  constructor(options: DiskNotesOptions) {
    this.#options = options;
    this.#notes = read(options.path);
  }

  fences(uuid: string): Fence[] {
    return this.#notes.fences[uuid] ?? [];
  }

  fence(uuid: string, fence: Fence): void {
    const { isAlive } = this.#options;
    const others = this.fences(uuid).filter(({ client }) => client !== fence.client && isAlive(client) !== false);
    this.#notes.fences[uuid] = [...others, fence].slice(-mostFences);
    this.#save();
  }

  liftFences(uuid: string): void {
    if (this.#notes.fences[uuid] === undefined) return;
    delete this.#notes.fences[uuid];
    this.#save();
  }

  /** 0: none was refused. */
  refusedEpoch(uuid: string): number {
    return this.#notes.refused[uuid] ?? 0;
  }

  refuse(uuid: string, epoch: number): void {
    if (this.refusedEpoch(uuid) >= epoch) return;
    this.#notes.refused[uuid] = epoch;
    this.#save();
  }

  /** The disk is gone for good. */
  forget(uuid: string): void {
    delete this.#notes.refused[uuid];
    delete this.#notes.fences[uuid];
    this.#save();
  }

  #save(): void {
    replaceFile(this.#options.path, `${JSON.stringify(this.#notes, undefined, 2)}\n`);
  }
}

function read(path: string): z.infer<typeof notesSchema> {
  try {
    return notesSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return { format: 1, fences: {}, refused: {} };
    throw new CopseError(
      'ERR_STATE',
      `${path} can't be read: ${errorMessage(error)}; restore it, or remove it if no disk was ever moved or fenced here`,
      {
        cause: error,
      },
    );
  }
}
