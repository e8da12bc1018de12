/**
 * The value in etcd under PREFIX/images/NAME: an image's record, or the note that the name was
 * removed.
 *
 * Copse deletes no key: a removal is a value of its own, with a generation. So a missing key never
 * existed, or is lost (a wiped etcd, an operator's `etcdctl del`), and a node that has the record
 * puts it back.
 */
import { z } from 'zod';
import { CopseError, errorMessage } from '../base/error.js';
import { checkKnownName } from '../base/export-name.js';
import { type ImageRecord, imageRecordSchema } from './image-record.js';

const removedSchema = z.object({ removed: z.literal(true), generation: z.int().positive() });

export type SharedImage = { kind: 'record'; record: ImageRecord; generation: number } | { kind: 'removed'; generation: number };

/** @throws CopseError `ERR_IMAGE_RECORD` */
export function parseSharedImage(name: string, value: string): SharedImage {
  try {
    const json: unknown = JSON.parse(value);
    const removed = removedSchema.safeParse(json);
    if (removed.success) return { kind: 'removed', generation: removed.data.generation };
    const record = imageRecordSchema.parse(json);
    checkKnownName(name);
    if (record.name !== name) throw new Error(`it calls itself "${record.name}"`);
    return { kind: 'record', record, generation: record.generation ?? 0 };
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : errorMessage(error);
    throw new CopseError('ERR_IMAGE_RECORD', `the record of image "${name}" in etcd can't be read: ${reason}`, { cause: error });
  }
}

export function removedValue(generation: number): string {
  return JSON.stringify({ removed: true, generation } satisfies z.infer<typeof removedSchema>);
}

/** @param prefix prefix of all keys, without a closing slash */
export function imageKeyOf(prefix: string, name: string): string {
  return `${prefix}/images/${name}`;
}

/**
 * @returns the key of the name in the index of disks; an image can't have that name. @param prefix
 * as for `imageKeyOf`
 */
export function diskKeyOf(prefix: string, name: string): string {
  return `${prefix}/disks/${name}`;
}
