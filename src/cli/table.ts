/** Tables without borders or colours, one line a row, for people and for cut(1). */
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

/** A table with a heading in capitals. */
export function formatTable(head: string[], rows: string[][]): string {
  const table = new Table({ ...plain, head: head.map((title) => title.toUpperCase()) });
  table.push(...rows);
  return trimLines(table.toString());
}

/**
 * Lines of `name  value`. A value of several lines goes on below itself. Absent values are omitted.
 */
export function formatList(entries: [name: string, value: string | undefined][]): string {
  const table = new Table(plain);
  for (const [name, value] of entries) if (value !== undefined) table.push([name, value]);
  return trimLines(table.toString());
}

function trimLines(text: string): string {
  return text.replaceAll(/[ \t]+$/gm, '');
}
