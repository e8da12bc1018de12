/**
 * Explores ownership to the end within bounds, one space after the other, and prints how many worlds each has.
 *
 * Usage: node dist/test/disk/machine/main.js [TAKES [FAULTS [CRASHES [FORCES [WRITES [BREAKS [COMMANDS]]]]]]]
 */
import { explore } from './explore.js';
import { space, spaces, textOf } from './space.js';

const [takes, faults, crashes, forces, writes, breaks, commands] = process.argv.slice(2).map(Number);
const asked = space({
  takes: takes ?? 0,
  faults: faults ?? 0,
  crashes: crashes ?? 0,
  forces: forces ?? 0,
  writes: writes ?? 0,
  breaks: breaks ?? 0,
  commands: commands ?? 0,
});
for (const each of takes === undefined ? spaces : [asked]) {
  const startMs = performance.now();
  const { worldCount, isWhole, violation, way = [] } = await explore({ space: each });
  const seconds = (performance.now() - startMs) / 1000;
  console.log(
    `${textOf(each)}: ${worldCount} worlds${isWhole ? '' : ', not whole'}, ${seconds.toFixed(1)} s, ${Math.round(worldCount / seconds)} a second`,
  );
  if (violation === undefined) continue;
  console.log([violation, ...way].join('\n  '));
  process.exitCode = 1;
}
