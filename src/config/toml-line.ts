/**
 * In which line of a TOML text a key stands.
 *
 * smol-toml tells lines of syntax errors only, so this looks again, at headers and at `key =` alone. Inline tables and the items of an
 * array lead to the line of the key that holds them; a line inside a multi-line string may be mistaken for a key, which
 * costs a wrong line number and nothing else.
 */

export type KeyPath = readonly PropertyKey[];

function splitKey(key: string): string[] {
  return [...key.matchAll(/"([^"]*)"|'([^']*)'|([^.\s"']+)/g)].map((part) => part[1] ?? part[2] ?? part[3] ?? '');
}

/** All keys and headers of the text with their paths (`['image', 0, 'url']`), and the lines they stand in, from 1. */
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

/** The line (from 1) of the key or of the nearest thing that holds it; `undefined` when nothing of the path is in the text. */
export function findKeyLine(toml: string, path: KeyPath): number | undefined {
  let best: { depth: number; line: number } | undefined;
  for (const at of keyLines(toml)) {
    const depth = at.path.length;
    if (depth > path.length || !at.path.every((part, index) => part === path[index])) continue;
    if (best === undefined || depth > best.depth) best = { depth, line: at.line };
  }
  return best?.line;
}
