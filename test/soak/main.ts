/**
 * `npm run soak`: real daemons, disks that move among them and guests that check every byte, for ten minutes of bad luck.
 *
 * Exit code: 0 when no byte was wrong, 1 when one was, 2 on wrong usage. The last line counts what was done and what was wrong.
 */
import { parseArgs } from 'node:util';
import { errorMessage } from '../../src/base/error.js';
import { MiB } from '../../src/base/size.js';
import { Lab } from '../lab/lab.js';
import { randomNumbers } from '../property/disk-workload.js';
import { Fleet } from './fleet.js';
import { DiskStory } from './story.js';
import { Tally } from './tally.js';
import { weather } from './weather.js';

const usage = `usage: npm run soak [-- --minutes N --seed N --disks N --calm]

  --minutes N   how long (default: 10)
  --seed N      of what is chosen at random (default: by the clock); the order in which processes run is not repeated
  --disks N     disks, each with guests of its own (default: 3)
  --calm        no daemon is killed or stopped, no link is cut, and no request of a guest may fail`;

const diskBytes = 16 * MiB;
const imageBytes = 8 * MiB;
const latenciesMs = [0, 20, 50, 150];

interface Options {
  minutes: number;
  seed: number;
  diskCount: number;
  calm: boolean;
}

function parse(): Options {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '10' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000_007) },
      disks: { type: 'string', default: '3' },
      calm: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    process.exit(0);
  }
  const options = { minutes: Number(values.minutes), seed: Number(values.seed), diskCount: Number(values.disks), calm: values.calm };
  if (!(options.minutes > 0 && Number.isInteger(options.seed) && options.diskCount >= 1 && options.diskCount <= 16)) {
    throw new Error('--minutes, --seed and --disks (1 to 16) are numbers');
  }
  return options;
}

async function soak({ minutes, seed, diskCount, calm }: Options): Promise<Tally> {
  const tally = new Tally();
  const random = randomNumbers(seed);
  const latencyMs = latenciesMs[random(latenciesMs.length)] ?? 0;
  console.error(`soak: ${minutes} min, seed ${seed}, ${diskCount} disks, ${latencyMs} ms to the third host and back`);
  const fleet = await Fleet.start(latencyMs, imageBytes);
  const endMs = performance.now() + minutes * 60_000;
  const isOver = (): boolean => performance.now() >= endMs;
  const said = setInterval(
    () => console.error(`soak: ${Math.max(0, Math.round((endMs - performance.now()) / 1000))} s left: ${tally}`),
    30_000,
  );
  try {
    const stories = Array.from({ length: diskCount }, (_, index) => {
      const numbers = randomNumbers(seed + index + 1);
      return new DiskStory({
        fleet,
        disk: index + 1,
        name: `vm-${index + 1}`,
        sizeBytes: diskBytes,
        imageBytes,
        random: numbers,
        tally,
        isCalm: calm,
      });
    });
    for (const story of stories) await story.create();
    await Promise.all([...stories.map((story) => story.run(isOver)), ...(calm ? [] : [weather(fleet, random, tally, isOver)])]);
    await fleet.whole();
    const verifyAll = async (): Promise<void> => {
      for (const story of stories) for (const host of fleet.hosts) await story.verify(host);
    };
    await verifyAll();
    await fleet.settled(stories.map((_, index) => `vm-${index + 1}`));
    for (const host of fleet.hosts) {
      await host.stop();
      await host.start();
    }
    await fleet.whole();
    await verifyAll();
  } catch (error) {
    tally.fault(errorMessage(error));
  } finally {
    clearInterval(said);
    await fleet.close();
  }
  return tally;
}

let options: Options;
try {
  options = parse();
} catch (error) {
  console.error(`soak: ${errorMessage(error)}\n${usage}`);
  process.exit(2);
}
const unavailable = await Lab.unavailable();
if (unavailable !== undefined) {
  console.error(`soak: can't run here: ${unavailable}`);
  process.exit(1);
}
const tally = await soak(options);
for (const fault of tally.faults) console.log(`FAULT: ${fault}`);
console.log(`soak: ${tally}; ${tally.faults.length} faults`);
process.exit(tally.faults.length === 0 ? 0 : 1);
