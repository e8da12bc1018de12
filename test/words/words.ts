/**
 * Holds comments against the rules of prose that a machine can check (CONTRIBUTING.md, "Prose"): their width, the
 * openings of docstrings, and indefinite actors.
 */
import ts from 'typescript';

/** Longest line that holds a comment, in columns. */
export const maxColumns = 100;

/** A docstring that opens with one of these is a fragment without a main verb. */
const fragment = /^(Of|What|Who|Whom|Whose|Whether|Where|Whoever|Whatever)\b/;
/** A sentence names its actor. */
const indefinite = /\b(nobody|somebody|anybody|everybody|whoever|whomever)\b/i;

export interface Comment {
  /** Line of its beginning, from 1. */
  line: number;
  /** As it stands in the file, marks included. */
  text: string;
}

/** @returns one line for each fault: `LINE: what is wrong` */
export function faults(text: string, comments: readonly Comment[]): string[] {
  const lines = text.split('\n');
  const found = comments.flatMap((comment) => {
    const isDocstring = comment.text.startsWith('/**');
    const prose = plain(comment.text);
    const wide = comment.text.split('\n').flatMap((_, index) => {
      const line = comment.line + index;
      const columns = (lines[line - 1] ?? '').length;
      // A long code line may end in a short remark; an address can't be broken.
      const isOfCode = index === 0 && !/^\s*(\/\*|\/\/)/.test(lines[line - 1] ?? '');
      return columns > maxColumns && !isOfCode && !/\S{60,}/.test(lines[line - 1] ?? '') ? [`${line}: ${columns} columns`] : [];
    });
    const opening = isDocstring ? fragment.exec(prose)?.[0] : undefined;
    const actor = indefinite.exec(prose)?.[0];
    return [
      ...wide,
      ...(opening === undefined ? [] : [`${comment.line}: a docstring opens with "${opening}"`]),
      ...(actor === undefined ? [] : [`${comment.line}: "${actor}" names no actor`]),
    ];
  });
  return [...new Set(found)];
}

/** Comments of a TypeScript file. */
export function commentsOf(text: string): Comment[] {
  const file = ts.createSourceFile('file.ts', text, ts.ScriptTarget.Latest, true);
  const found = new Map<number, Comment>();
  const add = (ranges: readonly ts.CommentRange[] | undefined): void => {
    for (const { pos, end } of ranges ?? []) {
      found.set(pos, { line: file.getLineAndCharacterOfPosition(pos).line + 1, text: text.slice(pos, end) });
    }
  };
  const visit = (node: ts.Node): void => {
    add(ts.getLeadingCommentRanges(text, node.getFullStart()));
    add(ts.getTrailingCommentRanges(text, node.getEnd()));
    for (const child of node.getChildren(file)) visit(child);
  };
  visit(file);
  return [...found.entries()].sort(([left], [right]) => left - right).map(([, comment]) => comment);
}

/** The words of a comment in one line. */
function plain(comment: string): string {
  return comment
    .replace(/^\/\*\*?|\*\/$/g, '')
    .split('\n')
    .map((line) => line.replace(/^\s*(\*|\/\/)\s?/, '').trim())
    .join(' ')
    .replace(/^@\w+ \S+ /, '')
    .trim();
}
