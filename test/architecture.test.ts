/** The direction of imports is a lint rule (biome.import.json). Here it is tried on imports that are right and on imports that are wrong. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import t from 'tap';

/** From dist/test. */
const root = fileURLToPath(new URL('../../', import.meta.url));

const allowed: [file: string, statement: string][] = [
  ['src/base/etcd/a.ts', "export { a } from '../error.js';"],
  ['src/nbd/a.ts', "export { a } from '../base/b.js';"],
  ['src/nbd/client/a.ts', "export { a } from '../../base/b.js';"],
  ['src/nbd/client/b.ts', "export { a } from '../handshake/b.js';"],
  ['src/origin/format/guard/a.ts', "export { a } from '../../../nbd/b.js';"],
  ['src/origin/format/guard/reach/a.ts', "export { a } from '../../../../base/b.js';"],
  ['src/cache/a.ts', "export type { A } from '../origin/origin.js';"],
  ['src/device/a.ts', "export { a } from '../cache/b.js';"],
  ['src/server/a.ts', "export type { A } from '../device/device.js';"],
  ['src/cli/a.ts', "export const a = import('../daemon/run.js');"],
  ['src/cli/b.ts', "export const b = import('../nbd/client/nbd-client.js');"],
  ['src/cli/command/a.ts', "export { a } from '../../admin/b.js';"],
  ['src/cli/command/b.ts', "export { a } from '../../libvirt/b.js';"],
  ['src/cli/command/c.ts', "export const c = import('../../origin/format/check-file.js');"],
  ['src/libvirt/a.ts', "export type { A } from '../admin/control.js';"],
  ['src/libvirt/b.ts', "export { a } from '../nbd/uri.js';"],
  ['src/daemon/a.ts', "export { a } from '../server/b.js';"],
  ['src/base/native.ts', "export { createRequire } from 'node:module';"],
  ['test/a.ts', "export { a } from '../src/server/b.js';"],
];

const forbidden: [file: string, statement: string][] = [
  ['src/base/z.ts', "export { a } from '../nbd/b.js';"],
  ['src/base/etcd/z.ts', "export { a } from '../../nbd/b.js';"],
  ['src/base/native.ts', "export { a } from '../cache/b.js';"],
  ['src/nbd/z.ts', "import { a } from '../server/b.js';\n\na();"],
  ['src/nbd/client/z.ts', "export * from '../../server/b.js';"],
  ['src/origin/z.ts', "export { a } from '../cache/b.js';"],
  ['src/origin/http/z.ts', "export { a } from '../../cache/b.js';"],
  ['src/origin/format/guard/z.ts', "export { a } from '../../../server/b.js';"],
  ['src/origin/format/guard/reach/z.ts', "export { a } from '../../../../cache/b.js';"],
  ['src/cache/z.ts', "export { a } from '../origin/open.js';"],
  ['src/cache/y.ts', "export const a = import('../origin/open.js');"],
  ['src/device/z.ts', "export { a } from '../server/b.js';"],
  ['src/server/z.ts', "export { a } from '../device/file.js';"],
  ['src/server/y.ts', "export { createRequire } from 'node:module';"],
  ['src/catalog/z.ts', "export { a } from '../cache/b.js';"],
  ['src/config/z.ts', "export { a } from '../daemon/b.js';"],
  ['src/admin/z.ts', "export { a } from '../daemon/b.js';"],
  ['src/admin/route/z.ts', "export { a } from '../../server/b.js';"],
  ['src/cli/z.ts', "export { a } from '../daemon/daemon.js';"],
  ['src/cli/y.ts', "export { a } from '../nbd/constant.js';"],
  ['src/cli/command/z.ts', "export { a } from '../../server/b.js';"],
  ['src/daemon/z.ts', "export { a } from '../cli/b.js';"],
  ['src/libvirt/y.ts', "export { a } from '../nbd/client/b.js';"],
  ['src/libvirt/z.ts', "export { a } from '../admin/client.js';"],
];

/** The files of a project of `imports` that biome complains of for where they import from. */
async function complaints(folder: string, imports: readonly [string, string][]): Promise<string[]> {
  writeFileSync(
    join(folder, 'biome.json'),
    JSON.stringify({ root: true, extends: [join(root, 'biome.import.json')], linter: { rules: { preset: 'none' } } }),
  );
  for (const [file, statement] of imports) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), `${statement}\n`);
  }
  const args = [join(root, 'node_modules/@biomejs/biome/bin/biome'), 'lint', '--reporter=github', '--max-diagnostics=none', '.'];
  const { stdout, exitCode } = await execa(process.execPath, args, { cwd: folder, reject: false });
  const lines = stdout.split('\n').filter((line) => line.includes('noRestrictedImports'));
  if ((exitCode === 0) !== (lines.length === 0)) throw new Error(`biome ended with ${exitCode} after:\n${stdout}`);
  return [...new Set(lines.map((line) => relative(folder, /file=([^,]+)/.exec(line)?.[1] ?? line)))].sort();
}

t.test('imports along the way of a read pass', async (t) => {
  t.same(await complaints(t.testdir(), allowed), []);
});

t.test('each import against it is found', async (t) => {
  t.same(await complaints(t.testdir(), forbidden), forbidden.map(([file]) => file).sort());
});
