/**
 * Replaces small files as a whole before the caller goes on. A reader, and a start after a crash at
 * any moment, finds the old content or the new one.
 *
 * When to use: for state that must be durable before its effect is seen. It stops the event loop
 * for a sync; large files have `writeDurably`.
 */
import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Durable when it returns. The file is the owner's alone (0600). PATH.new beside it is overwritten.
 */
export function replaceFile(path: string, content: string | Uint8Array): void {
  const temporaryPath = `${path}.new`;
  writeFileSync(temporaryPath, content, { mode: 0o600, flush: true });
  renameSync(temporaryPath, path);
  syncDirectory(dirname(path));
}

/** Makes renames and removals in the directory durable. */
export function syncDirectory(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
