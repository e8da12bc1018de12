/**
 * A temporary directory whose path leaves room for the 107 bytes that a unix socket's may have. The fixtures of tap are
 * named after whole tests, and are too long for that.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';

/** @returns its path; it goes with the test */
export function shortDir(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'copse-t-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
