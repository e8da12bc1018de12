/**
 * The build of the last release, to run beside the present one.
 *
 * `release/VERSION.tar.xz` has its compiled JavaScript and the source of its addon, because a
 * checkout in CI may lack the history to build it from. It is unpacked once a machine and its addon
 * compiled, below `node_modules/.cache`. Its npm packages are the present ones.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';

/** From dist/test/upgrade. */
const root = fileURLToPath(new URL('../../..', import.meta.url));
const folder = join(root, 'test/upgrade/release');

export interface Release {
  version: string;
  /** Path of its `main.js`. */
  main: string;
}

/** Compiles the addon at the first call, which takes a minute. */
export async function lastRelease(): Promise<Release> {
  const names = readdirSync(folder).filter((name) => name.endsWith('.tar.xz'));
  const [name] = names;
  if (name === undefined || names.length > 1) throw new Error(`${folder} has ${names.length} releases, not one`);
  const version = name.replace(/\.tar\.xz$/, '');
  const digest = createHash('sha256')
    .update(readFileSync(join(folder, name)))
    .update(process.version)
    .digest('hex');
  const cache = join(root, 'node_modules/.cache/copse');
  const place = join(cache, `release-${version}-${digest.slice(0, 16)}`);
  if (!existsSync(place)) await build(join(folder, name), cache, place);
  return { version, main: join(place, 'dist/src/cli/main.js') };
}

/** Whole when it has its name: two test files may build at the same time. */
async function build(archive: string, cache: string, place: string): Promise<void> {
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, 'build-'));
  try {
    await execa('tar', ['-C', work, '-xJf', archive]);
    symlinkSync(join(root, 'node_modules'), join(work, 'node_modules'));
    await execa('npx', ['node-gyp', 'rebuild', '--silent'], { cwd: work });
    if (!existsSync(place)) renameSync(work, place);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
