/**
 * Formats of `disk-notes.json`.
 *
 *     1   Copse 0.1.0: `granted` and `forced` are missing; `held` and `writers` may be missing
 *     2   Copse 0.2.0: all are there
 *
 * Both say `"format": 1`: 0.1.0 refuses any other number, and passes over fields that it does not
 * know. So 0.1.0 still opens a file in format 2, and writes it back in format 1. A `format` field
 * of N stands for format N+1 from N = 2 on.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { FileKind } from './step.js';

const name = 'disk-notes.json';
/** Fields of format 2, each a table by uuid. */
const tables = ['held', 'granted', 'forced', 'writers'] as const;

const notesSchema = z.looseObject({ format: z.int().positive() });

export const diskNotes: FileKind = {
  name: 'disk-notes',
  paths: (dir) => (existsSync(join(dir, name)) ? [name] : []),
  formatOf(bytes) {
    const notes = parse(bytes);
    if (notes === undefined) return undefined;
    if (notes.format > 1) return notes.format + 1;
    return tables.every((table) => notes[table] !== undefined) ? 2 : 1;
  },
  steps: [
    (bytes) => {
      const missing = Object.fromEntries(tables.map((table) => [table, {}]));
      return Buffer.from(`${JSON.stringify({ ...missing, ...parse(bytes) }, undefined, 2)}\n`);
    },
  ],
};

function parse(bytes: Buffer): z.infer<typeof notesSchema> | undefined {
  try {
    return notesSchema.safeParse(JSON.parse(bytes.toString('utf8'))).data;
  } catch {
    return undefined;
  }
}
