/**
 * What a disk may read as: for each sector of 512 bytes what was written to it, in order, and from which of these on it must be.
 *
 * What was acknowledged is read by everybody from then on; after a kill what was acknowledged and not flushed may be gone, and what was never acknowledged may be there.
 */
export const sectorBytes = 512;

interface Entry {
  tag: number;
  acknowledged: boolean;
}

interface Sector {
  entries: Entry[];
  /** Index of the oldest that may still be read. */
  least: number;
  /** As `least`, after a kill. */
  durable: number;
}

export class SectorModel {
  readonly #sectors: Sector[];
  #lastTag = 0;

  constructor(sectorCount: number) {
    this.#sectors = Array.from({ length: sectorCount }, () => ({ entries: [{ tag: 0, acknowledged: true }], least: 0, durable: 0 }));
  }

  get sectorCount(): number {
    return this.#sectors.length;
  }

  /** A write begins. @returns its bytes, and what to call when it is acknowledged */
  write(first: number, count: number): { bytes: Buffer; acknowledge(): void } {
    this.#lastTag += 1;
    const tag = this.#lastTag;
    const sectors = this.#sectors.slice(first, first + count);
    for (const { entries } of sectors) entries.push({ tag, acknowledged: false });
    const acknowledge = (): void => {
      for (const sector of sectors) {
        const index = sector.entries.findIndex((entry) => entry.tag === tag);
        const entry = sector.entries[index];
        if (entry === undefined) continue;
        entry.acknowledged = true;
        sector.least = Math.max(sector.least, index);
      }
    };
    return { bytes: fill(count, tag), acknowledge };
  }

  /** What is acknowledged now is durable, once the returned function is called. */
  flush(): () => void {
    const least = this.#sectors.map((sector) => sector.least);
    return () => {
      this.#sectors.forEach((sector, index) => {
        sector.durable = Math.max(sector.durable, least[index] ?? 0);
      });
    };
  }

  /** A process that had the disk has died. */
  kill(): void {
    for (const sector of this.#sectors) sector.least = sector.durable;
  }

  /** To be called before a read; the returned function tells what is wrong with what it brought. */
  read(first: number, count: number): (bytes: Buffer) => string[] {
    const before = this.#sectors.slice(first, first + count).map(({ least }) => least);
    return (bytes) => {
      const wrong: string[] = [];
      for (let index = 0; index < count; index += 1) {
        const sector = this.#sectors[first + index];
        if (sector === undefined) continue;
        const piece = bytes.subarray(index * sectorBytes, (index + 1) * sectorBytes);
        const tag = piece.readUInt32LE(0);
        // A kill in between may have taken it back.
        const least = Math.min(before[index] ?? 0, sector.least);
        const allowed = sector.entries.slice(least).map((entry) => entry.tag);
        if (!piece.equals(fill(1, tag)) || !allowed.includes(tag))
          wrong.push(`sector ${first + index}: ${tag}, not one of ${allowed.join(' ')}`);
      }
      return wrong;
    };
  }
}

function fill(sectorCount: number, tag: number): Buffer {
  const pattern = Buffer.alloc(4);
  pattern.writeUInt32LE(tag);
  return Buffer.alloc(sectorCount * sectorBytes, pattern);
}
