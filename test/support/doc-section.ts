/** Parts of Markdown pages that programs print: tables, and the sections that hold them. */
import { CopseError } from '../../src/base/error.js';

/**
 * Replaces the text between the markers `<!-- NAME:begin -->` and `<!-- NAME:end -->` of a page, so that no figure or
 * table is copied by hand.
 *
 * @throws CopseError `ERR_OPTION` when the page has no such markers
 */
export function replaceSection(page: string, name: string, body: string): string {
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from < 0 || to < from) throw new CopseError('ERR_OPTION', `the page has no section between ${begin} and ${end}`);
  return `${page.slice(0, from + begin.length)}\n${body.trim()}\n${page.slice(to)}`;
}

/** Columns of a page's text. */
const width = 100;

/** @returns the paragraph or list item in lines of at most 100 columns, the later ones indented */
export function wrapped(text: string, indent = ''): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = `${indent}${word}`;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join('\n');
}

export function markdownTable(head: string[], rows: string[][]): string {
  const line = (each: string[]): string => `| ${each.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
