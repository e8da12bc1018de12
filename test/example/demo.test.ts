import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';
import { examplesDir } from './host.js';

// The first run on a machine builds the guest's disk: a minute, on a slow and busy one several.
t.setTimeout(1_200_000);

t.test('the demo boots three times, and only the first boot needs the origin', async (t) => {
  const { exitCode, all, stdout } = await execa('bash', [join(examplesDir, 'demo', 'run')], { reject: false, all: true });
  t.equal(exitCode, 0, all);

  const rows = stdout
    .split('\n')
    .filter((line) => line.startsWith('│'))
    .map((line) => line.split('│').map((cell) => cell.trim()));
  const [, cold = [], warm = [], stopped = []] = rows;
  const mib = (cell: string | undefined) => Number.parseFloat(cell ?? '');
  t.equal(cold[1], 'cold');
  t.ok(mib(cold[3]) > 5, 'the guest read from its disk');
  t.ok(mib(cold[4]) >= mib(cold[3]) * 0.9, 'all of it came from the origin');
  t.ok(Number(cold[5]) > 0);
  // A boot's reads are not the same to the last block each time.
  t.equal(warm[1], 'warm');
  t.ok(mib(warm[4]) <= 2, 'a warm boot needs the origin for next to nothing');
  t.equal(stopped[1], 'origin stopped');
  t.ok(mib(stopped[3]) > 5);
  t.equal(stopped[5], '0');
});
