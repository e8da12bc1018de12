/** Where the bench finds what belongs to it and keeps what it makes. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The package's root, seen from dist/test/bench/harness. */
export const packageRoot = fileURLToPath(new URL('../../../../', import.meta.url));

/** Recorded boot traces, as they lie in the source tree (tsc copies no data). */
export const traceDir = join(packageRoot, 'test/bench/trace');

/** The `copse` command as the package ships it; `COPSE_BENCH_COMMAND` names another build's `main.js`, to compare two. */
export const copseCommand = process.env['COPSE_BENCH_COMMAND'] ?? join(packageRoot, 'dist/src/cli/main.js');

/** Kept between runs: the origin's images and the results. Must be on a real file system: tmpfs knows no RWF_NOWAIT. */
export function benchCacheDir(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'copse', 'bench');
}
