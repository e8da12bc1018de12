/** What every format's guard is given, and what it finds. */
import type { ReadContent } from '../content.js';
import type { Patch } from '../layer.js';

export interface Subject {
  /** For error texts. */
  readonly url: string;
  /** Size of the image file. */
  readonly sizeBytes: number;
  readonly read: ReadContent;
}

/** What an image names that the operator may map to another image. Everything else that it names is refused at once. */
export interface Inspection {
  readonly backing?: BackingName | undefined;
}

export interface BackingName {
  readonly name: string;
  /** What makes the header name nothing. */
  readonly removal: Patch;
}

/** One format's guard. @throws OriginError `ERR_FORMAT` when the image names what nobody may map, or has no sane header */
export type Inspect = (subject: Subject) => Promise<Inspection>;
