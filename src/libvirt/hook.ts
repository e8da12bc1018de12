/**
 * What libvirt's hook asks of Copse before a guest starts, and when one is about to arrive.
 *
 * Invariant: nothing here calls libvirt, which waits for the hook: that would be a deadlock.
 */
import type { Control } from '../admin/control.js';
import type { DomainXml } from './domain-xml.js';
import { type ExportFacts, tryExport } from './export-facts.js';
import type { Listeners } from './listener.js';

/** The exports that a domain reads, each once, in the order of its disks. */
export function exportsOf(domain: DomainXml, listeners: Listeners): string[] {
  const sources = domain.disks.flatMap(({ sources }) => sources).filter(({ address }) => listeners.has(address));
  return [...new Set(sources.map(({ exportName }) => exportName))];
}

/** What keeps a guest with these exports from starting, a sentence each. */
export async function problemsOf(control: Control, exportNames: readonly string[]): Promise<string[]> {
  const problems = await Promise.all(exportNames.map(async (name) => problemOf(name, await tryExport(control, name))));
  return problems.filter((problem) => problem !== undefined);
}

function problemOf(name: string, facts: ExportFacts | undefined): string | undefined {
  if (facts === undefined) return `this host serves no disk and no image ${name}: copse disk ls, copse image ls show what it serves`;
  if (facts.kind === 'image' || facts.disk.place !== 'unreachable') return undefined;
  return facts.disk.message ?? `disk ${name} belongs to ${facts.disk.owner}, which does not answer: its blocks are there`;
}

/** The images below these exports of which this host doesn't hold everything, each once. */
export async function imagesToWarm(control: Control, exportNames: readonly string[]): Promise<string[]> {
  const facts = (await Promise.all(exportNames.map((name) => tryExport(control, name)))).filter((one) => one !== undefined);
  const names = new Set(facts.map((one) => (one.kind === 'image' ? one.name : one.disk.image)).filter((name) => name !== undefined));
  const images = await control.images.list();
  return images.filter(({ name, sizeBytes, cache }) => names.has(name) && cache.cachedBytes < sizeBytes).map(({ name }) => name);
}
