/**
 * Which bytes of a read have come. Chunks may come in any order, but none may overlap and none be missing.
 *
 * Invariant: the open ends are sorted, disjoint and not adjacent; an in-order reply keeps exactly one.
 */

/** More separate fragments than this at once no sane server makes: a bound on the time and memory that one can cost. */
const MAX_FRAGMENT_COUNT = 4096;

export class Coverage {
  readonly #offset: number;
  readonly #end: number;
  /** `[start, end)` in order. */
  readonly #fragments: { start: number; end: number }[] = [];

  constructor(offset: number, lengthBytes: number) {
    this.#offset = offset;
    this.#end = offset + lengthBytes;
  }

  /** Whether all bytes were added. */
  get whole(): boolean {
    const [first] = this.#fragments;
    return this.#end === this.#offset || (first !== undefined && first.start === this.#offset && first.end === this.#end);
  }

  /** Adds a fragment. @returns why it can't be: it lies outside, overlaps, or is one too many */
  add(start: number, lengthBytes: number): string | undefined {
    const end = start + lengthBytes;
    if (!(lengthBytes > 0 && start >= this.#offset && end <= this.#end)) return 'a chunk beyond the request';
    // Nearly always it continues the last fragment; search from the end.
    let index = this.#fragments.length;
    while (index > 0 && (this.#fragments[index - 1]?.start ?? 0) > start) index -= 1;
    const before = this.#fragments[index - 1];
    const after = this.#fragments[index];
    if ((before !== undefined && before.end > start) || (after !== undefined && after.start < end)) return 'overlapping chunks';
    if (before?.end === start) {
      before.end = end;
      if (after?.start === end) {
        before.end = after.end;
        this.#fragments.splice(index, 1);
      }
    } else if (after?.start === end) after.start = start;
    else if (this.#fragments.length >= MAX_FRAGMENT_COUNT) return 'a reply in too many fragments';
    else this.#fragments.splice(index, 0, { start, end });
    return undefined;
  }
}
