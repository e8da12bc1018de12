/** The plain C++ core by itself, under sanitizers: each of test/native/NAME_test.cc three times, as `npm run test:native` runs them. */
import { fileURLToPath } from 'node:url';
import t from 'tap';

/** In the source tree: tsc copies no C++. Seen from dist/test/native. */
const command = fileURLToPath(new URL('../../../test/native/run', import.meta.url));

t.test('the native core', (t) => t.spawn('bash', [command], { timeout: 600_000 }, 'native core'));
