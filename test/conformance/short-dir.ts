/** A temporary directory whose path leaves room for the 107 bytes that a unix socket's may have. */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';

export async function shortDir(t: Test): Promise<string> {
  const path = await mkdtemp(join('/tmp', 'copse-t-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}
