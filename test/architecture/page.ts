/** The table of rooms as a section of docs/architecture/overview.md. */
import { markdownTable, replaceSection } from '../support/doc-section.js';
import { rooms } from './rooms.js';

/** @returns the page with the table as it is now. @throws CopseError `ERR_OPTION` for a page without the section */
export function printed(page: string): string {
  const code = (text: string): string => `\`${text}\``;
  const rows = rooms.map(({ room, imports, knows, ignores }) => [
    code(`src/${room}`),
    knows,
    ignores,
    grouped(imports).map(code).join(', '),
  ]);
  return replaceSection(page, 'rooms', markdownTable(['room', 'knows', 'does not know', 'may import'], rows));
}

/** @returns the rooms, with floors of one room as `ROOM/{FLOOR,FLOOR}` */
function grouped(imports: readonly string[]): string[] {
  const floors = new Map<string, string[]>();
  for (const path of imports) {
    const [room = path, ...rest] = path.split('/');
    floors.set(room, [...(floors.get(room) ?? []), rest.join('/')]);
  }
  return [...floors].map(([room, names]) => {
    if (names.length > 1) return `${room}/{${names.join(',')}}`;
    return names[0] === '' ? room : `${room}/${names[0]}`;
  });
}
