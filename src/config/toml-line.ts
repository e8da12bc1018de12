/**
 * Finds the line of a key in a TOML text.
 *
 * smol-toml gives lines for syntax errors only, so this file reads headers and `key =` again. A key
 * in an inline table or an array has the line of the key that holds it. A line of a multi-line
 * string may be taken for a key, which costs only a wrong line number.
 */

export type KeyPath = readonly PropertyKey[];

function splitKey(key: string): string[] {
  return [...key.matchAll(/"([^"]*)"|'([^']*)'|([^.\s"']+)/g)].map((part) => part[1] ?? part[2] ?? part[3] ?? '');
}

/** All keys and headers of the text, with their paths (`['image', 0, 'url']`) and lines, from 1. */
function* keyLines(toml: string): Generator<{ path: (string | number)[]; line: number }> {
  const itemCounts = new Map<string, number>();
  let table: (string | number)[] = [];
  for (const [index, text] of toml.split(/\r?\n/).entries()) {
    const line = index + 1;
    const header = /^\s*(\[\[?)\s*([^\]]+?)\s*\]/.exec(text);
    if (header?.[2] !== undefined) {
      table = splitKey(header[2]);
      if (header[1] === '[[') {
        const item = itemCounts.get(header[2]) ?? 0;
        itemCounts.set(header[2], item + 1);
        table.push(item);
      } else if (typeof table[0] === 'string' && itemCounts.has(table[0])) {
        // [image.backing] belongs to the last [[image]].
        table.splice(1, 0, (itemCounts.get(table[0]) ?? 1) - 1);
      }
      yield { path: table, line };
      continue;
    }
    const key = /^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=/.exec(text);
    if (key?.[1] !== undefined) yield { path: [...table, ...splitKey(key[1])], line };
  }
}

/**
 * Line, from 1, of the key or of the innermost table that holds it; `undefined` if the text has
 * neither.
 */
export function findKeyLine(toml: string, path: KeyPath): number | undefined {
  let best: { depth: number; line: number } | undefined;
  for (const at of keyLines(toml)) {
    const depth = at.path.length;
    if (depth > path.length || !at.path.every((part, index) => part === path[index])) continue;
    if (best === undefined || depth > best.depth) best = { depth, line: at.line };
  }
  return best?.line;
}
