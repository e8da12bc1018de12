/**
 * Checks for libvirt's hook, which runs before a guest starts and before one arrives by migration.
 *
 * Invariant: no function here calls libvirt. libvirt waits for the hook, so that would be a
 * deadlock.
 */
import type { Control } from '../admin/control.js';
import type { DomainXml } from './domain-xml.js';
import { type ExportFacts, tryExport } from './export-facts.js';
import type { Listeners } from './listener.js';

/** Exports that a domain reads, each once, in the order of its disks. */
export function exportsOf(domain: DomainXml, listeners: Listeners): string[] {
  const sources = domain.disks.flatMap(({ sources }) => sources).filter(({ address }) => listeners.has(address));
  return [...new Set(sources.map(({ exportName }) => exportName))];
}

/** Obstacles to the start of a guest with these exports, a sentence each. */
export async function problemsOf(control: Control, exportNames: readonly string[]): Promise<string[]> {
  const problems = await Promise.all(exportNames.map(async (name) => problemOf(name, await tryExport(control, name))));
  return problems.filter((problem) => problem !== undefined);
}

function problemOf(name: string, facts: ExportFacts | undefined): string | undefined {
  if (facts === undefined) return `this host serves no disk and no image ${name}: "copse disk ls" and "copse image ls" list all`;
  if (facts.kind === 'image' || facts.disk.place !== 'unreachable') return undefined;
  return facts.disk.message ?? `node ${facts.disk.owner} owns disk ${name} and does not answer: the disk's blocks are there`;
}

/** Images below these exports that this host holds only in part, each once. */
export async function imagesToWarm(control: Control, exportNames: readonly string[]): Promise<string[]> {
  const facts = (await Promise.all(exportNames.map((name) => tryExport(control, name)))).filter((one) => one !== undefined);
  const names = new Set(facts.map((one) => (one.kind === 'image' ? one.name : one.disk.image)).filter((name) => name !== undefined));
  const images = await control.images.list();
  return images.filter(({ name, sizeBytes, cache }) => names.has(name) && cache.cachedBytes < sizeBytes).map(({ name }) => name);
}
