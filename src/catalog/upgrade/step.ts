/**
 * Steps between formats of files in a state directory.
 *
 * A kind of file has formats 1, 2, 3 …; one step leads from each to the next. A step is a pure
 * function over the bytes of one file: it opens nothing and writes nothing. `upgrade.ts` reads,
 * keeps and replaces the files, so a step can't be cut off half-way.
 *
 * Invariants: the number of a file's format follows from the file alone. An older Copse may have
 * written the file after a newer one, so no other record of the number is believed.
 */

/** Bytes of a file in format N to bytes in format N+1. It may throw; then nothing is changed. */
export type Step = (bytes: Buffer) => Uint8Array;

/** Files of one kind. */
export interface FileKind {
  /** Name in the version record, for example `disk-notes`. */
  name: string;
  /** @returns paths of the files of this kind, relative to the state directory */
  paths(dir: string): string[];
  /**
   * @returns the number of the format, or `undefined` for a damaged file, which its reader reports
   */
  formatOf(bytes: Buffer): number | undefined;
  /** Steps in order: the first one leads from format 1 to format 2. */
  steps: readonly Step[];
}

/** The format that this version of Copse writes. */
export function latestFormat(kind: FileKind): number {
  return kind.steps.length + 1;
}
