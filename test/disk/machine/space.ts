/** The bounded spaces that are explored to their end. */
import type { Budget } from './world.js';

export const spaces: readonly Budget[] = [
  { takes: 1, faults: 1, crashes: 2, forces: 0, writes: 1 },
  { takes: 1, faults: 1, crashes: 1, forces: 1, writes: 1 },
  { takes: 2, faults: 0, crashes: 1, forces: 0, writes: 1 },
  { takes: 2, faults: 1, crashes: 0, forces: 0, writes: 1 },
];

/** Small ones, in which a broken line shows. */
export const smallSpaces: readonly Budget[] = [
  { takes: 1, faults: 0, crashes: 0, forces: 0, writes: 1 },
  { takes: 1, faults: 0, crashes: 1, forces: 0, writes: 1 },
  { takes: 1, faults: 1, crashes: 0, forces: 0, writes: 1 },
  { takes: 0, faults: 1, crashes: 1, forces: 1, writes: 1 },
  { takes: 2, faults: 0, crashes: 0, forces: 0, writes: 1 },
  { takes: 1, faults: 1, crashes: 1, forces: 0, writes: 0 },
  { takes: 1, faults: 0, crashes: 1, forces: 1, writes: 0 },
];
