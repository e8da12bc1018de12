/** Reads the imports of TypeScript files, and holds them against the table of rooms. Pure but for `readSource`. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';
import type { Room } from './rooms.js';

/** Path below `src`, such as `cache/flight.ts`, to the text of the file. */
export type Source = ReadonlyMap<string, string>;

/** Path of each file to the paths of the files that it imports, types included; modules of others by their names. */
export type Imports = ReadonlyMap<string, readonly string[]>;

/** All TypeScript files below a directory. */
export function readSource(dir: string): Source {
  const paths = readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(dir, join(entry.parentPath, entry.name)));
  return new Map(paths.sort().map((path) => [path, readFileSync(join(dir, path), 'utf8')]));
}

export function importsOf(source: Source): Imports {
  return new Map(
    [...source].map(([path, text]) => [
      path,
      ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => target(path, fileName)),
    ]),
  );
}

function target(from: string, specifier: string): string {
  return specifier.startsWith('.') ? join(dirname(from), specifier).replace(/\.js$/, '.ts') : specifier;
}

/** The longest listed folder that a file lies in. */
export function roomOf(path: string, rooms: readonly Room[]): string | undefined {
  return rooms
    .map(({ room }) => room)
    .filter((room) => path.startsWith(`${room}/`))
    .sort((a, b) => b.length - a.length)[0];
}

/** One line for each import that the table does not permit. */
export function forbiddenImports(imports: Imports, rooms: readonly Room[]): string[] {
  const permitted = new Map(rooms.map(({ room, imports }) => [room, imports]));
  return pairs(imports).flatMap(([from, to]) => {
    const [room, other] = [roomOf(from, rooms), roomOf(to, rooms)];
    if (room === undefined) return [`${from} lies in no room`];
    if (other === undefined) return [`${from} imports ${to}, which lies in no room`];
    const isPermitted = room === other || (permitted.get(room) ?? []).some((entry) => entry === other || entry === to);
    return isPermitted ? [] : [`${from} imports ${to}: ${room} may not import ${other}`];
  });
}

/** Permissions that no import needs, as `ROOM -> ENTRY`. */
export function unusedPermissions(imports: Imports, rooms: readonly Room[]): string[] {
  const used = new Set(
    pairs(imports).flatMap(([from, to]) => [`${roomOf(from, rooms)} -> ${roomOf(to, rooms)}`, `${roomOf(from, rooms)} -> ${to}`]),
  );
  return rooms.flatMap(({ room, imports }) => imports.map((entry) => `${room} -> ${entry}`)).filter((permission) => !used.has(permission));
}

/** Rooms that import a room below them in the table, as `ROOM -> ENTRY`. */
export function upwardPermissions(rooms: readonly Room[]): string[] {
  const place = (room: string | undefined): number => rooms.findIndex((one) => one.room === room);
  return rooms.flatMap(({ room, imports }) =>
    imports
      .filter((entry) => place(entry.endsWith('.ts') ? roomOf(entry, rooms) : entry) >= place(room))
      .map((entry) => `${room} -> ${entry}`),
  );
}

/** Circles among files: of each the paths, in no order. Tarjan's strongly connected components with more than one file. */
export function fileCircles(imports: Imports): string[][] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const circles: string[][] = [];
  const lowOf = (path: string): number => low.get(path) ?? 0;
  const visit = (path: string): void => {
    index.set(path, index.size);
    low.set(path, index.size - 1);
    stack.push(path);
    for (const next of imports.get(path) ?? []) {
      if (!imports.has(next)) continue;
      if (!index.has(next)) visit(next);
      if (stack.includes(next)) low.set(path, Math.min(lowOf(path), lowOf(next)));
    }
    if (lowOf(path) !== index.get(path)) return;
    const circle = stack.splice(stack.indexOf(path));
    if (circle.length > 1) circles.push(circle.sort());
  };
  for (const path of imports.keys()) if (!index.has(path)) visit(path);
  return circles;
}

/** Imports of files of `src` by files of `src`. */
function pairs(imports: Imports): [from: string, to: string][] {
  return [...imports].flatMap(([from, targets]) => targets.filter((to) => imports.has(to)).map((to): [string, string] => [from, to]));
}
