/** The table of ownership as a part of docs/architecture/ownership.md, between two marks. */
import { table } from '../../../src/disk/owner/machine.js';

const begin = '<!-- ownership: printed by dist/test/disk/machine/print.js -->';
const end = '<!-- end of ownership -->';

/** @returns the page with the table as it is now. @throws Error for a page without the marks */
export function printed(page: string): string {
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`the page lacks ${begin} or ${end}`);
  return `${page.slice(0, from + begin.length)}\n\n${lines()}\n\n${page.slice(to)}`;
}

function lines(): string {
  const rows = table.map(({ at, on, when = '', effects, next = '' }) => [
    at.join(', '),
    on,
    when,
    effects.map(({ text }) => text).join('; '),
    next,
  ]);
  return [['phase', 'event', 'condition', 'effects', 'next phase'], ['---', '---', '---', '---', '---'], ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}
