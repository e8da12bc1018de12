/** A disk that comes and goes leaves one map on each node: the maps of its earlier times are removed as it comes back. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { beginWritten, settle } from './scenario.js';

t.test('a disk that moves to and fro before its blocks have followed', async (t) => {
  const play = await beginWritten(t, ['A', 'B']);
  const { room, guest } = play;
  room.cut = / blocks/;
  for (let round = 0; round < 3; round += 1) {
    for (const id of ['B', 'A']) t.equal(await guest(id, `unix:${id}:${round + 2}`, 60_000).write(0, 8), undefined);
  }
  t.same(room.owners(), ['A@7']);
  for (const { id, dir } of room.live) {
    const maps = readdirSync(join(dir, 'disk', room.uuid)).filter((name) => /^map-[\d-]+$/.test(name));
    t.same(maps, [id === 'A' ? 'map-7' : 'map-6'], id);
  }
  await settle(play, 'B');
  t.same(room.wrong, []);
});
