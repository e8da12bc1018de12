/** The table of ownership as a section of docs/architecture/ownership.md. */
import { table } from '../../../src/disk/owner/machine.js';
import { markdownTable, replaceSection } from '../../support/doc-section.js';

/** @returns the page with the table as it is now. @throws CopseError `ERR_OPTION` for a page without the section */
export function printed(page: string): string {
  const rows = table.map(({ at, on, when = '', effects, next = '' }) => [
    at.join(', '),
    on,
    when,
    effects.map(({ text }) => text).join('; '),
    next,
  ]);
  return replaceSection(page, 'ownership', markdownTable(['phase', 'event', 'condition', 'effects', 'next phase'], rows));
}
