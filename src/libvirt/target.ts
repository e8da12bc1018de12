/** What can be said of a disk in a guest's domain: its bus, its cache mode, and its name: `vda`, `sdb`, … `sdaa`. */
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

/** The first name of the bus's that is not taken. */
export function nextTarget(bus: DiskBus, taken: Iterable<string>): string {
  const names = new Set(taken);
  for (let index = 0; ; index += 1) {
    const name = prefixes[bus] + letters(index);
    if (!names.has(name)) return name;
  }
}

/**
 * A name that an operator chose.
 *
 * @returns the bus that it belongs to; `undefined` where `sd…` leaves that open
 * @throws CopseError `ERR_OPTION` where it is no name of a disk
 */
export function busOfTarget(target: string): DiskBus | undefined {
  const [, prefix] = /^(vd|sd)[a-z]{1,3}$/.exec(target) ?? [];
  if (prefix === undefined) throw new CopseError('ERR_OPTION', `"${target}" is no name of a disk: write vda, vdb, … or sda, sdb, …`);
  return prefix === 'vd' ? 'virtio' : undefined;
}

/** Options as an operator gave them. @throws CopseError `ERR_OPTION` where they contradict each other */
export function chooseBus(bus: string | undefined, target: string | undefined): DiskBus {
  const chosen = diskBuses.find((known) => known === bus);
  if (bus !== undefined && chosen === undefined) {
    throw new CopseError('ERR_OPTION', `--bus ${bus}: write ${diskBuses.join(', ')}`);
  }
  if (target === undefined) return chosen ?? 'virtio';
  const implied = busOfTarget(target);
  if (chosen === undefined) return implied ?? 'scsi';
  if (!target.startsWith(prefixes[chosen])) {
    throw new CopseError('ERR_OPTION', `--target ${target} is no name on ${chosen}: write ${prefixes[chosen]}a, ${prefixes[chosen]}b, …`);
  }
  return chosen;
}
