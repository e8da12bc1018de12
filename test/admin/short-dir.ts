/** A directory whose path is short enough for unix sockets (107 bytes): tap's own fixtures are named after whole tests. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';

export function shortDir(test: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'copse-'));
  test.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}
