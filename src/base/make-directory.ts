/** Directories that are made durably: whoever depends on what lies in one depends on its name, too. */
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { syncDirectory } from './replace-file.js';

/** Makes the directory, and its parents where they are missing; each name is durable when it returns. */
export function makeDirectory(path: string, mode: number): void {
  const missing: string[] = [];
  for (let at = resolve(path); !existsSync(at); at = dirname(at)) missing.push(at);
  mkdirSync(path, { recursive: true, mode });
  for (const made of missing) syncDirectory(dirname(made));
}
