/** The table of rooms as a section of docs/architecture.md. */
import { markdownTable, replaceSection } from '../support/doc-section.js';
import { rooms } from './rooms.js';

/** @returns the page with the table as it is now. @throws CopseError `ERR_OPTION` for a page without the section */
export function printed(page: string): string {
  const code = (text: string): string => `\`${text}\``;
  const rows = rooms.map(({ room, imports, knows, ignores }) => [code(`src/${room}`), knows, ignores, imports.map(code).join(', ')]);
  return replaceSection(page, 'rooms', markdownTable(['room', 'knows', 'does not know', 'may import'], rows));
}
