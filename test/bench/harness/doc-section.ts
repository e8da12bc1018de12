/** Puts results between the markers `<!-- NAME:begin -->` and `<!-- NAME:end -->` of a Markdown page, so that nobody copies figures by hand. */
import { CopseError } from '../../../src/base/error.js';

/** @throws CopseError `ERR_OPTION` when the page has no such markers */
export function replaceSection(page: string, name: string, body: string): string {
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from < 0 || to < from) throw new CopseError('ERR_OPTION', `the page has no section between ${begin} and ${end}`);
  return `${page.slice(0, from + begin.length)}\n${body.trim()}\n${page.slice(to)}`;
}
