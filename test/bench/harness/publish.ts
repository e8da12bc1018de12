/**
 * The sections of pages in docs that hold figures. `--doc` of a benchmark writes its own sections.
 *
 * Invariant: text outside of the markers is never changed.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceSection } from '../../support/doc-section.js';
import { packageRoot } from './place.js';

/** Page of each section, from the package's root. */
export const figurePages = {
  measured: 'docs/performance.md',
  disk: 'docs/performance.md',
  migration: 'docs/performance.md',
  fast: 'docs/performance/fast-path.md',
  storm: 'docs/performance/storm.md',
  'chunk-size': 'docs/decision/0001-chunk-size.md',
  eviction: 'docs/decision/0002-second-chance.md',
} as const;

export type FigureSection = keyof typeof figurePages;

/** @throws CopseError `ERR_OPTION` for a page without the section */
export async function publish(section: FigureSection, body: string): Promise<void> {
  const path = join(packageRoot, figurePages[section]);
  await writeFile(path, replaceSection(await readFile(path, 'utf8'), section, body));
}
