/** The lab does what it says: latency per round trip, rates, cuts, and nothing of it left behind. */
import { once } from 'node:events';
import { execa } from 'execa';
import t from 'tap';
import { holds } from '../support/wait.js';
import { Lab } from './lab.js';
import type { LabPlace } from './place.js';

const unavailable = await Lab.unavailable();

/** A program for `node -e`: answers each connection with as many bytes as its first line asks for. */
const server = `
  const { createServer } = require('node:net');
  const bytes = Buffer.alloc(64 << 20);
  createServer((socket) => socket.on('error', () => {}).on('data', (line) => socket.write(bytes.subarray(0, Number(line)))))
    .listen(7000, () => console.log('ready'));`;

/** Asks ADDRESS for COUNT bytes, TIMES in a row over one connection; prints the milliseconds of each. */
const client = `
  const [address, count, times] = [process.argv[1], Number(process.argv[2]), Number(process.argv[3])];
  const socket = require('node:net').connect(7000, address);
  const took = [];
  let got = 0, began;
  const ask = () => { got = 0; began = performance.now(); socket.write(String(count)); };
  socket.on('connect', ask).on('data', (piece) => {
    got += piece.length;
    if (got < count) return;
    took.push(performance.now() - began);
    if (took.length < times) ask(); else { console.log(JSON.stringify(took)); socket.destroy(); }
  });`;

async function serveBytes(place: LabPlace): Promise<void> {
  const { command, args } = place.command(process.execPath, ['-e', server]);
  const child = execa(command, args, { reject: false, buffer: false, stdin: 'ignore' }); // ends with the lab
  await once(child.stdout, 'data');
}

async function ask(from: LabPlace, to: LabPlace, byteCount: number, times: number): Promise<number[]> {
  const output = await from.run(process.execPath, ['-e', client, to.address, String(byteCount), String(times)]);
  return (JSON.parse(output) as number[]).sort((a, b) => a - b);
}

/** @param patienceSeconds to be sure that a cut holds, a while; where a connection must come, as long as a busy machine may take */
const reaches = (from: LabPlace, to: LabPlace, patienceSeconds = 60): Promise<boolean> =>
  from.run('timeout', [String(patienceSeconds), 'bash', '-c', `exec 3<>/dev/tcp/${to.address}/7000`]).then(
    () => true,
    () => false,
  );

t.test('a lab', { skip: unavailable ?? false }, async (t) => {
  const lab = await Lab.start({ hostCount: 3, hostBitsPerSecond: 400e6, originBitsPerSecond: 100e6, originLatencyMs: 20 });
  t.teardown(() => lab.close());
  const [a, b, c] = lab.hosts;
  if (a === undefined || b === undefined || c === undefined) throw new Error('three hosts were asked for');
  await Promise.all([lab.origin, a, b, c].map(serveBytes));

  t.test('adds latency on the way to the origin, and only there', async (t) => {
    const [toOrigin = 0] = await ask(a, lab.origin, 1, 10);
    t.ok(toOrigin >= 20, `a round trip to the origin took ${toOrigin} ms`);
    // What adds it stands still: peers have each other all the same, the origin is not to be had.
    process.kill(lab.relayPid, 'SIGSTOP');
    let answered = false;
    const late = ask(a, lab.origin, 1, 1).finally(() => {
      answered = true;
    });
    try {
      t.equal((await ask(a, b, 1, 10)).length, 10);
      t.notOk(answered);
    } finally {
      process.kill(lab.relayPid, 'SIGCONT');
    }
    await late;
  });

  t.test('a link carries no more than its rate, and counts it', async (t) => {
    const before = await a.traffic();
    // 8 MB are 160 ms at 400 Mbit/s, and 640 ms at 100; a slow machine only takes longer.
    const [fromPeer = 0] = await ask(a, b, 8e6, 2);
    const [fromOrigin = 0] = await ask(a, lab.origin, 8e6, 1);
    t.ok(fromPeer >= 155, `from a peer ${fromPeer} ms`);
    t.ok(fromOrigin >= 620, `from the origin ${fromOrigin} ms`);
    const received = (await a.traffic()).receivedBytes - before.receivedBytes;
    // Headers are a twentieth; a busy machine sends some packets twice.
    t.ok(received >= 24e6 && received < 32e6, `${received} bytes were counted`);
  });

  t.test('links are cut and restored, one way and both ways', async (t) => {
    t.ok(await reaches(a, c));
    await lab.cut(a, c);
    t.notOk(await reaches(a, c, 2), 'an answer needs both ways');
    t.ok(await reaches(b, c), 'others are not cut');
    await lab.restore(a, c);
    t.ok(await reaches(a, c));
    await lab.cut(lab.origin, a);
    t.notOk(await reaches(a, lab.origin, 2));
    t.ok(await reaches(b, lab.origin));
    await lab.restore(lab.origin, a);
    await t.rejects(lab.restore(lab.origin, a), 'there is no cut any more');
  });
});

t.test('a killed lab is swept by the next', { skip: unavailable ?? false }, async (t) => {
  const program = `const { Lab } = await import(${JSON.stringify(new URL('./lab.js', import.meta.url).href)});
    const lab = await Lab.start({ hostCount: 1 }); console.log(lab.hosts[0].netns); setInterval(() => {}, 1000);`;
  const child = execa(process.execPath, ['--input-type=module', '-e', program], { reject: false, buffer: false, stdin: 'ignore' });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const netns = line.toString().trim();
  const names = async (): Promise<string> => (await execa('ip', ['netns', 'list'])).stdout;
  // While its maker lives nobody sweeps it; afterwards any lab that starts on this machine does.
  t.match(await names(), netns);
  child.kill('SIGKILL');
  await child;
  const lab = await Lab.start({ hostCount: 1 });
  const [own] = lab.hosts;
  // Another that starts at the same moment may be the one that sweeps it.
  await holds(async () => !(await names()).includes(netns));
  const after = await names();
  t.notMatch(after, netns, 'the dead one is gone');
  t.match(after, own?.netns ?? '', 'the living one is there');
  await lab.close();
  t.notMatch(await names(), own?.netns ?? '', 'and gone when it was closed');
});
