/** Tables without borders or colours, one line a row, so that they can be read and cut alike. */
import Table from 'cli-table3';

const noBorder = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

const plain = { chars: noBorder, style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 } };

/** Rows below a heading in capitals. */
export function formatTable(head: string[], rows: string[][]): string {
  const table = new Table({ ...plain, head: head.map((title) => title.toUpperCase()) });
  table.push(...rows);
  return trimLines(table.toString());
}

/** `name  value` lines; a value of several lines is continued below itself, absent ones are left out. */
export function formatList(entries: [name: string, value: string | undefined][]): string {
  const table = new Table(plain);
  for (const [name, value] of entries) if (value !== undefined) table.push([name, value]);
  return trimLines(table.toString());
}

function trimLines(text: string): string {
  return text.replaceAll(/[ \t]+$/gm, '');
}
