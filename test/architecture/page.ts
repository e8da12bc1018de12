/** The table of rooms as a part of docs/architecture.md, between two marks. */
import { rooms } from './rooms.js';

const begin = '<!-- rooms: printed by dist/test/architecture/print.js -->';
const end = '<!-- end of rooms -->';

/** @returns the page with the table as it is now. @throws Error for a page without the marks */
export function printed(page: string): string {
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`the page lacks ${begin} or ${end}`);
  return `${page.slice(0, from + begin.length)}\n\n${table()}\n\n${page.slice(to)}`;
}

function table(): string {
  const code = (text: string): string => `\`${text}\``;
  const rows = rooms.map(({ room, imports, knows, ignores }) => [code(`src/${room}`), knows, ignores, imports.map(code).join(', ')]);
  return [['room', 'knows', 'does not know', 'may import'], ['---', '---', '---', '---'], ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}
