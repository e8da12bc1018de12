/**
 * Power loss: a process's writes to a disk's files are logged on their way, and replayed up to any point with any part of what was not synced. What was flushed is there, what was not is
 * old or new, sector by sector. The same replays with a sync left out show that this can fail.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';
import { overlayFiles } from '../disk/overlay/parts.js';
import { memoryDir } from '../support/memory-dir.js';
import { DiskHistory } from './disk-history.js';
import { type LogRecord, RecordKind } from './disk-log.js';
import { DiskPlace, diskBytes } from './disk-place.js';
import { replay } from './disk-replay.js';
import { randomNumbers } from './disk-workload.js';

const firstSeed = Number(process.env['COPSE_SEED'] ?? Math.floor(Math.random() * 1e6));
const dataFile = 0;
const mapFile = 1;
const everything = { keptShare: [1, 1], random: () => 0 };

/** Moments worth a look: around each sync, and some others. */
function moments(records: readonly LogRecord[], random: (limit: number) => number, count: number): number[] {
  const syncs = new Set<number>();
  const tokens = new Set<number>();
  records.forEach((record, at) => {
    if (record.kind === RecordKind.sync) tokens.add(record.token);
    const isEnd = record.kind === RecordKind.end && tokens.has(record.token);
    if (record.kind === RecordKind.sync || isEnd) for (const delta of [0, 1, 2]) syncs.add(Math.min(records.length, at + delta));
  });
  const all = [...syncs];
  return Array.from({ length: count }, () => (random(4) === 0 ? random(records.length + 1) : (all[random(all.length)] ?? records.length)));
}

t.test(`power lost at any moment; COPSE_SEED=${firstSeed}`, async (t) => {
  const random = randomNumbers(firstSeed);
  const place = await DiskPlace.make(t.testdir());
  const env = await place.loggedEnvironment();
  // Hundreds of files that are read once.
  const aside = overlayFiles(memoryDir(t, 'copse-disk-'), diskBytes);
  let content = await place.content();
  let initial = place.raw();

  /** The first violations of the replays at `count` moments. */
  const lose = async (history: DiskHistory, records: readonly LogRecord[], count: number, ignoredSyncs: number[] = []) => {
    for (const recordCount of moments(records, random, count)) {
      const keptShare = [random(5) / 4, random(5) / 4];
      place.replace(replay(initial, records, { recordCount, keptShare, random, ignoredSyncs }), aside);
      const found = await place.content(aside);
      const wrong = history.violations(found, recordCount);
      if (wrong.length > 0) return [`at record ${recordCount} of ${records.length}, kept ${keptShare}`, ...wrong];
    }
    return [];
  };

  for (let generation = 0; generation < 3; generation += 1) {
    const seed = firstSeed + generation;
    const { path, argument } = place.child(content, { seed, operationCount: 150, callerCount: 4 });
    const child = spawn(process.execPath, [path, argument], { env, stdio: ['ignore', 'ignore', 'inherit'] });
    t.same(await once(child, 'exit'), [0, null]);
    const records = place.log();
    const recordCount = records.length;
    const complete = replay(initial, records, { ...everything, recordCount });
    t.ok(
      place.raw().every((bytes, file) => complete[file]?.equals(bytes)),
      'the files are as the log says',
    );

    const history = new DiskHistory(content, records, seed);
    t.same(await lose(history, records, 120), [], `generation ${generation}: ${recordCount} records`);
    t.not((await lose(history, records, 200, [dataFile])).length, 0, 'the data’s sync is missed');
    t.not((await lose(history, records, 200, [mapFile])).length, 0, 'the map’s sync is missed');

    // It goes on with what a loss left.
    initial = replay(initial, records, { recordCount: random(recordCount), keptShare: [0.5, 0.5], random });
    place.replace(initial);
    content = await place.content();
    initial = place.raw();
  }
});
