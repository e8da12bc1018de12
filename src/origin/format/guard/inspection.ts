/** Input and result of the guard of each format. */
import type { ReadContent } from '../content.js';
import type { Patch } from '../layer.js';

export interface Subject {
  /** URL for error texts. */
  readonly url: string;
  /** Size of the image file, in bytes. */
  readonly sizeBytes: number;
  readonly read: ReadContent;
}

/**
 * Names in an image that the operator may map to another image. The guard refuses all other names
 * at once.
 */
export interface Inspection {
  readonly backing?: BackingName | undefined;
}

export interface BackingName {
  readonly name: string;
  /** Patch of the header that removes the name. */
  readonly removal: Patch;
}

/**
 * Guard of one format. @throws OriginError `ERR_FORMAT` if the image names something that can't be
 * mapped, or has no sane header
 */
export type Inspect = (subject: Subject) => Promise<Inspection>;
