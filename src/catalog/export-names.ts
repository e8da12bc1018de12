/**
 * Names under which disks and images of this node are being made. Disks and images share one name
 * space, so of two commands that make the same name only one goes on, however they race.
 *
 * Invariant: while a claim is held, no other command makes an export of the name here. The holder
 * checks then if the name is taken, and only then makes the export.
 */
import { CopseError } from '../base/error.js';

export type ExportKind = 'disk' | 'image';

export class ExportNames {
  readonly #claims = new Map<string, { kind: ExportKind; count: number }>();

  /**
   * Runs the work that makes an export, with its name claimed.
   *
   * Claims for images of one name do not exclude each other: the registry of images makes them one
   * after another.
   *
   * @throws CopseError `ERR_DISK_EXISTS` or `ERR_IMAGE_EXISTS`, by the kind that is to be made;
   * what `work` rejects with
   */
  async claim<T>(name: string, kind: ExportKind, work: () => Promise<T>): Promise<T> {
    const claim = this.#claims.get(name) ?? { kind, count: 0 };
    if (claim.count > 0 && (kind === 'disk' || claim.kind === 'disk')) {
      throw takenError(name, kind, `${claim.kind === 'disk' ? 'a disk' : 'an image'} "${name}" is being made just now`);
    }
    claim.count += 1;
    this.#claims.set(name, claim);
    try {
      return await work();
    } finally {
      claim.count -= 1;
      if (claim.count === 0) this.#claims.delete(name);
    }
  }
}

/**
 * Makes the error of a command that would make an export under the name of another kind of export.
 */
export function takenError(
  name: string,
  kind: ExportKind,
  why = `there is ${kind === 'disk' ? 'an image' : 'a disk'} "${name}"`,
): CopseError {
  const code = kind === 'disk' ? 'ERR_DISK_EXISTS' : 'ERR_IMAGE_EXISTS';
  return new CopseError(code, `${why}, and disks and images share the names of exports: choose another name`);
}
