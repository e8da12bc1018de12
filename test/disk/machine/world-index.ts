/** Numbers worlds by their hash: a table of two plain arrays, 12 to 24 bytes a world. */
export class WorldIndex {
  #hashes = new Float64Array(1 << 12).fill(-1);
  #numbers = new Int32Array(1 << 12);
  size = 0;

  /** @returns the number of the world with that hash; a negative one, `~number`, if it is new */
  add(hash: number): number {
    if (this.size * 2 > this.#hashes.length) this.#grow();
    const at = this.#placeOf(hash);
    if (this.#hashes[at] === hash) return this.#numbers[at] ?? 0;
    this.#hashes[at] = hash;
    this.#numbers[at] = this.size;
    this.size += 1;
    return ~(this.size - 1);
  }

  #placeOf(hash: number): number {
    const mask = this.#hashes.length - 1;
    let at = ((hash % 0x7fffffff) ^ Math.floor(hash / 0x80000000)) & mask;
    while (this.#hashes[at] !== -1 && this.#hashes[at] !== hash) at = (at + 1) & mask;
    return at;
  }

  #grow(): void {
    const hashes = this.#hashes;
    const numbers = this.#numbers;
    this.#hashes = new Float64Array(hashes.length * 2).fill(-1);
    this.#numbers = new Int32Array(numbers.length * 2);
    hashes.forEach((hash, index) => {
      if (hash === -1) return;
      const at = this.#placeOf(hash);
      this.#hashes[at] = hash;
      this.#numbers[at] = numbers[index] ?? 0;
    });
  }
}
