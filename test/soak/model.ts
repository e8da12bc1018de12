/**
 * What each sector of one disk may hold: the last version that was acknowledged, and each version since whose request was not
 * answered, or failed.
 *
 * Invariant: a request that is acknowledged ends the doubt for its sectors. A later read of anything older is a fault.
 */
import { foreign } from './pattern.js';

export class DiskModel {
  readonly #acknowledged: Uint32Array;
  /** Versions in doubt, by sector. */
  readonly #doubtful = new Map<number, Set<number>>();

  /** @param initial version of each sector */
  constructor(initial: Uint32Array) {
    this.#acknowledged = initial;
  }

  get sectorCount(): number {
    return this.#acknowledged.length;
  }

  get doubtfulCount(): number {
    return this.#doubtful.size;
  }

  /** A request that writes this version is about to be sent. */
  issue(firstSector: number, count: number, version: number): void {
    for (let sector = firstSector; sector < firstSector + count; sector += 1) {
      const versions = this.#doubtful.get(sector);
      if (versions === undefined) this.#doubtful.set(sector, new Set([version]));
      else versions.add(version);
    }
  }

  /** That request was acknowledged. */
  acknowledge(firstSector: number, count: number, version: number): void {
    for (let sector = firstSector; sector < firstSector + count; sector += 1) {
      this.#acknowledged[sector] = version;
      this.#doubtful.delete(sector);
    }
  }

  /** Sectors that hold what they may not, in words. */
  faults(firstSector: number, found: readonly number[]): string[] {
    return found.flatMap((version, index) => {
      const sector = firstSector + index;
      const wanted = this.#acknowledged[sector];
      const others = this.#doubtful.get(sector);
      if (version === wanted || others?.has(version)) return [];
      const doubt = others === undefined ? '' : ` or one of ${[...others].join(', ')}`;
      return [`sector ${sector} holds ${version === foreign ? 'foreign bytes' : `version ${version}`} instead of ${wanted}${doubt}`];
    });
  }
}
