/** A small file system in memory of a test's own, to be filled up or to lack features. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';

/** @returns its directory, unmounted with the test; `undefined`, with the test skipped, if the user may not mount */
export function memoryMount(t: Test, type: 'tmpfs' | 'ramfs', option: string): string | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'copse-mount-'));
  try {
    execFileSync('mount', ['-t', type, '-o', option, 'copse-test', directory], { stdio: 'ignore' });
  } catch {
    rmdirSync(directory);
    t.plan(0, 'mounting needs root');
    return undefined;
  }
  t.teardown(() => {
    execFileSync('umount', [directory]);
    rmdirSync(directory);
  });
  return directory;
}
