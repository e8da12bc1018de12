/** Bus, cache mode and name of a disk in a domain. Names are `vda`, `sdb`, … `sdaa`. */
import { CopseError } from '../base/error.js';

export const diskBuses = ['virtio', 'scsi', 'sata'] as const;
export type DiskBus = (typeof diskBuses)[number];

export const cacheModes = ['none', 'writeback', 'writethrough', 'directsync', 'unsafe', 'default'] as const;
export type CacheMode = (typeof cacheModes)[number];

const prefixes: Record<DiskBus, string> = { virtio: 'vd', scsi: 'sd', sata: 'sd' };

/** `0` is `a`, `25` is `z`, `26` is `aa`. */
function letters(index: number): string {
  const letter = String.fromCharCode(97 + (index % 26));
  return index < 26 ? letter : letters(Math.floor(index / 26) - 1) + letter;
}

/** The first name on the bus that is not taken. */
export function nextTarget(bus: DiskBus, taken: Iterable<string>): string {
  const names = new Set(taken);
  for (let index = 0; ; index += 1) {
    const name = prefixes[bus] + letters(index);
    if (!names.has(name)) return name;
  }
}

/**
 * Reads a name that an operator chose.
 *
 * @returns the bus of the name; `undefined` for `sd…`, which several buses share
 * @throws CopseError `ERR_OPTION` if it is no name of a disk
 */
export function busOfTarget(target: string): DiskBus | undefined {
  const [, prefix] = /^(vd|sd)[a-z]{1,3}$/.exec(target) ?? [];
  if (prefix === undefined) throw new CopseError('ERR_OPTION', `"${target}" is not the name of a disk: write vda, vdb, … or sda, sdb, …`);
  return prefix === 'vd' ? 'virtio' : undefined;
}

/**
 * Chooses the bus by the operator's options. @throws CopseError `ERR_OPTION` if they contradict
 * each other
 */
export function chooseBus(bus: string | undefined, target: string | undefined): DiskBus {
  const chosen = diskBuses.find((known) => known === bus);
  if (bus !== undefined && chosen === undefined) {
    throw new CopseError('ERR_OPTION', `--bus ${bus}: write ${diskBuses.join(', ')}`);
  }
  if (target === undefined) return chosen ?? 'virtio';
  const implied = busOfTarget(target);
  if (chosen === undefined) return implied ?? 'scsi';
  if (!target.startsWith(prefixes[chosen])) {
    throw new CopseError(
      'ERR_OPTION',
      `--target ${target} is not a name on ${chosen}: write ${prefixes[chosen]}a, ${prefixes[chosen]}b, …`,
    );
  }
  return chosen;
}
