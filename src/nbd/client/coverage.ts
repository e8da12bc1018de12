/**
 * The bytes of a read that have arrived. Chunks may arrive in any order, but none may overlap and
 * none be missing.
 *
 * Invariant: the fragments are sorted, disjoint and not adjacent. An in-order reply keeps exactly
 * one.
 */

/**
 * Bound on the separate fragments of a reply, and so on the time and memory that one costs. No sane
 * server makes more.
 */
const MAX_FRAGMENT_COUNT = 4096;

export class Coverage {
  readonly #offset: number;
  readonly #end: number;
  /** Fragments `[start, end)` in order. */
  readonly #fragments: { start: number; end: number }[] = [];

  constructor(offset: number, lengthBytes: number) {
    this.#offset = offset;
    this.#end = offset + lengthBytes;
  }

  /** True once all bytes were added. */
  get whole(): boolean {
    const [first] = this.#fragments;
    return this.#end === this.#offset || (first !== undefined && first.start === this.#offset && first.end === this.#end);
  }

  /**
   * Adds a fragment.
   *
   * @returns the reason why it can't be added: it lies outside, overlaps, or is one too many
   */
  add(start: number, lengthBytes: number): string | undefined {
    const end = start + lengthBytes;
    if (!(lengthBytes > 0 && start >= this.#offset && end <= this.#end)) return 'a chunk beyond the request';
    // The search begins at the end, because nearly every chunk continues the last fragment.
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
