/** The plain C++ core by itself, under sanitizers and fuzzed, as `npm run test:native` does it. */
import { fileURLToPath } from 'node:url';
import t from 'tap';

/** In the source tree: tsc copies no C++. Seen from dist/test/native. */
const command = fileURLToPath(new URL('../../../test/native/run', import.meta.url));

t.test('the native core', (t) => t.spawn('bash', [command, 'plain', 'address', 'thread', 'fuzz'], { timeout: 600_000 }, 'native core'));
