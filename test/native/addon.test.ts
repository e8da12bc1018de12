/** The addon under AddressSanitizer, by some of its tests; `npm run test:native` runs all of them. */
import { fileURLToPath } from 'node:url';
import t from 'tap';

/** In the source tree: tsc copies no scripts. Seen from dist/test/native. */
const command = fileURLToPath(new URL('../../../test/native/run', import.meta.url));
const names = ['native-chunk-file.test', 'native-overlay-file.test', 'native-environment', 'server/fast', 'fast/teardown'];

t.test('the addon', (t) => t.spawn('bash', [command, 'addon', ...names], { timeout: 600_000 }, 'addon'));
