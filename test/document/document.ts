/**
 * Holds pages of Markdown against the rules of CONTRIBUTING.md, "Prose", that a machine can check: width, size of table
 * cells, words, and that links and paths lead somewhere.
 */
import { posix } from 'node:path';

/** Longest line of prose, in columns. Tables, code, and a link or address that can't be broken are free. */
export const maxColumns = 100;
/** Longest cell of a table, in characters. */
export const maxCellLength = 200;

const indefinite = /(?<!")\b(nobody|somebody|anybody|everybody|whoever|whomever)\b/i;
/** A path of this repository in a code span. */
const repositoryPath = /^(src|test|native|docs|examples|\.ci)\/[\w./-]+$/;

/** Part of a path that stands for a name. */
const placeholder = /[A-Z]{4}/;

export interface Page {
  /** Path in the repository. */
  path: string;
  text: string;
}

interface Line {
  /** From 1. */
  number: number;
  text: string;
}

/**
 * @param exists tells if a path of the repository is there
 * @param anchorsOf names the anchors of a page, by its path
 * @returns one line for each fault: `LINE: what is wrong`
 */
export function pageFaults(page: Page, exists: (path: string) => boolean, anchorsOf: (path: string) => ReadonlySet<string>): string[] {
  return proseOf(page.text).flatMap(({ number, text }) =>
    [...lineFaults(text), ...linkFaults(page.path, text, exists, anchorsOf), ...pathFaults(text, exists)].map(
      (fault) => `${number}: ${fault}`,
    ),
  );
}

/** Lines outside of fenced code. */
function proseOf(text: string): Line[] {
  let fenced = false;
  return text.split('\n').flatMap((line, index) => {
    if (/^\s*```/.test(line)) {
      fenced = !fenced;
      return [];
    }
    return fenced ? [] : [{ number: index + 1, text: line }];
  });
}

function lineFaults(line: string): string[] {
  const actor = indefinite.exec(line)?.[0];
  const found = actor === undefined ? [] : [`"${actor}" names no actor`];
  if (line.startsWith('|')) {
    const longest = Math.max(...line.split(/(?<!\\)\|/).map((cell) => cell.trim().length));
    return longest > maxCellLength ? [...found, `a cell of ${longest} characters`] : found;
  }
  return isTooWide(line) ? [...found, `${line.length} columns`] : found;
}

/** True if the line passes the limit, and a space in it would have been a place to break. */
function isTooWide(line: string): boolean {
  const start = /^\s*(?:[-*>]\s+|\d+\.\s+)?/.exec(line)?.[0].length ?? 0;
  return line.length > maxColumns && line.slice(start, maxColumns + 1).includes(' ');
}

/** Targets of the links and pictures in a line: `[text](target)`, `src="target"`. */
export function linksOf(line: string): string[] {
  const plain = line.replaceAll(/`[^`]*`/g, '');
  return [...plain.matchAll(/\]\(([^)\s]+)\)/g), ...plain.matchAll(/\b(?:src|href)="([^"]+)"/g)].map(([, target = '']) => target);
}

function linkFaults(
  from: string,
  line: string,
  exists: (path: string) => boolean,
  anchorsOf: (path: string) => ReadonlySet<string>,
): string[] {
  return linksOf(line)
    .filter((target) => !/^[a-z]+:/.test(target))
    .flatMap((target) => {
      const [file = '', anchor] = target.split('#');
      const path = file === '' ? from : posix.join(posix.dirname(from), file);
      if (!exists(path)) return [`no file at ${target}`];
      return anchor === undefined || anchorsOf(path).has(anchor) ? [] : [`no section at ${target}`];
    });
}

function pathFaults(line: string, exists: (path: string) => boolean): string[] {
  return [...line.matchAll(/`([^`]+)`/g)]
    .map(([, span = '']) => span)
    .filter((span) => repositoryPath.test(span) && !placeholder.test(span) && !exists(span.replace(/[./]+$/, '')))
    .map((span) => `no file at ${span}`);
}

/** Anchors of a page's headings, as GitHub makes them; equal headings are numbered. */
export function anchorsOfPage(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const { text: line } of proseOf(text)) {
    const heading = /^#{1,6} (.+)$/.exec(line)?.[1];
    if (heading === undefined) continue;
    const base = heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-');
    let anchor = base;
    for (let count = 1; anchors.has(anchor); count += 1) anchor = `${base}-${count}`;
    anchors.add(anchor);
  }
  return anchors;
}
