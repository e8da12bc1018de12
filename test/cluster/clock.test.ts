/** A host's wall clock may jump; nothing that the cluster decides hangs on it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

/** From the compiled test to the sources. */
const root = fileURLToPath(new URL('../../../', import.meta.url));
const rooms = ['src/cluster', 'src/daemon/cluster', 'src/base/etcd', 'src/cache'];
/** What people read, what tells one process from another, and how gRPC wants to be told how long a call may take: never compared with the time later. */
const allowed = /startedAt|chosenAt|deadline: Date\.now\(\) \+/;

t.test('no wall clock decides anything: the time is that of the injected, monotonic clock', async (t) => {
  let fileCount = 0;
  for (const room of rooms) {
    for (const entry of readdirSync(join(root, room), { recursive: true, encoding: 'utf8' })) {
      if (!entry.endsWith('.ts')) continue;
      fileCount += 1;
      const lines = readFileSync(join(root, room, entry), 'utf8').split('\n');
      const wall = lines.filter((line) => /\bDate\b/.test(line) && !/^\s*(\*|\/\/|\/\*)/.test(line) && !allowed.test(line));
      t.same(wall, [], `${room}/${entry}`);
    }
  }
  t.ok(fileCount > 50);
  t.match(readFileSync(join(root, 'src/base/clock.ts'), 'utf8'), /performance\.now\(\)/);
  t.notMatch(readFileSync(join(root, 'src/base/clock.ts'), 'utf8'), /Date\.now/);
});
