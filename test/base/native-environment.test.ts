/** The addon in processes and workers that begin and end at bad moments. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { native } from '../../src/base/native/loader.js';
import { until } from '../support/wait.js';

const run = promisify(execFile);
const module = new URL('../../src/base/native/loader.js', import.meta.url).href;

/** Runs the script, with `native` and `path` at hand, in a process of its own. */
async function runScript(path: string, script: string): Promise<string> {
  const source = `const { native } = await import(${JSON.stringify(module)}); const path = ${JSON.stringify(path)};\n${script}`;
  return (await run(process.execPath, ['--input-type=module', '-e', source], { timeout: 60_000 })).stdout;
}

t.test('jobs keep the process alive, open files do not', async (t) => {
  const path = join(t.testdir(), 'file');
  const script = `
    const file = native.openBlockFile(path, { write: true, create: true });
    file.write(Buffer.alloc(1 << 20, 1), 0, 1 << 20, 0, true).then(() => console.log('written'));`;
  t.equal(await runScript(path, script), 'written\n');
});

t.test('a process may exit with jobs under way', async (t) => {
  const path = join(t.testdir(), 'file');
  const script = `
    const file = native.openBlockFile(path, { write: true, create: true });
    for (let i = 0; i < 200; i += 1) file.write(Buffer.alloc(1 << 16, 1), 0, 1 << 16, i << 16, i % 8 === 0).catch(() => {});
    console.log('out'); process.exit(0);`;
  t.equal(await runScript(path, script), 'out\n');
});

const workerScript = `
  const { parentPort, workerData } = await import('node:worker_threads');
  const { native } = await import(workerData.module);
  native.lockFile(workerData.path + '.lock');
  const file = native.openBlockFile(workerData.path, { write: true, create: true });
  const chunks = native.openChunkFile({ dataPath: workerData.path + '.data', mapPath: workerData.path + '.map', sizeBytes: 1 << 24, chunkBytes: 1 << 16,
    recordsOffset: 0, recordSeed: 0, trusted: true });
  let started = 0;
  async function work() {
    for (let round = 0; ; round += 1) {
      const index = started++ % 256;
      await file.write(Buffer.alloc(1 << 16, 1), 0, 1 << 16, index << 16, index === 5);
      await chunks.store(index, Buffer.alloc(1 << 16, 1), 0).catch(() => {});
      await chunks.read(Buffer.alloc(1 << 16), 0, 1 << 16, index << 16);
      await chunks.evict(Uint32Array.of((index + 128) % 256));
      if (round === 1) parentPort.postMessage('busy');
    }
  }
  for (let i = 0; i < 12; i += 1) void work();`;

t.test('workers may be ended with jobs under way, and leave nothing open', async (t) => {
  // In memory: the end of a worker waits for its syncs, and how long a shared disk takes for them is not the question here.
  const directory = mkdtempSync('/dev/shm/copse-test-');
  t.teardown(() => rmSync(directory, { recursive: true }));
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  const endOne = async (round: number): Promise<void> => {
    const path = join(directory, `${round}`);
    const source = new URL(`data:text/javascript,${encodeURIComponent(workerScript)}`);
    const worker = new Worker(source, { execArgv: [], workerData: { module, path } });
    await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    await worker.terminate();
    const lock = native.lockFile(`${path}.lock`);
    t.ok(lock >= 0, 'its lock is free');
    native.unlockFile(lock);
  };
  await endOne(0);
  const before = descriptors();
  for (let round = 1; round <= 3; round += 1) await endOne(round);
  await until('no descriptor is left', () => descriptors() <= before);
  const file = native.openBlockFile(join(directory, '0'), { write: false });
  await file.read(Buffer.alloc(10), 0, 10, 0);
  await file.close();
});

t.test('files that are forgotten are closed by the garbage collector', async (t) => {
  const path = join(t.testdir(), 'file');
  const script = `
    const { readdirSync } = await import('node:fs');
    const { setFlagsFromString } = await import('node:v8');
    const { runInNewContext } = await import('node:vm');
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc');
    const before = readdirSync('/proc/self/fd').length;
    (() => { for (let i = 0; i < 100; i += 1) native.openBlockFile(path, { write: true, create: true }); })();
    const open = readdirSync('/proc/self/fd').length - before;
    // Without end where one stays.
    while (readdirSync('/proc/self/fd').length > before + 1) { gc(); await new Promise((resolve) => setImmediate(resolve)); }
    console.log(open);`;
  t.equal(await runScript(path, script), '100\n');
});

t.test('buffers and files live as long as their calls', async (t) => {
  const path = join(t.testdir(), 'file');
  const script = `
    const { setFlagsFromString } = await import('node:v8');
    const { runInNewContext } = await import('node:vm');
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc');
    const start = () => {
      const file = native.openBlockFile(path, { write: true, create: true });
      return Array.from({ length: 64 }, (_, index) => file.write(Buffer.alloc(1 << 16, index + 1), 0, 1 << 16, index << 16, false));
    };
    const writes = start();
    gc(); gc();
    await Promise.all(writes);
    const file = native.openBlockFile(path, { write: false });
    const all = Buffer.alloc(64 << 16);
    await file.read(all, 0, all.length, 0);
    let wrong = 0;
    for (let at = 0; at < all.length; at += 1) if (all[at] !== (at >> 16) + 1) wrong += 1;
    console.log(wrong);`;
  t.equal(await runScript(path, script), '0\n');
});

t.test('a worker that alone loaded the addon may end before its threads do', async (t) => {
  const directory = mkdtempSync('/dev/shm/copse-test-');
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'file');
  // The main thread does not load it: the end of the worker would unload it from under the threads.
  const worker = `
    const { native } = await import(${JSON.stringify(module)});
    const file = native.openBlockFile(${JSON.stringify(path)}, { write: true, create: true });
    for (let i = 0; i < 64; i += 1) void file.write(Buffer.alloc(1 << 16, 1), 0, 1 << 16, i << 16, false);
    process.exit();`;
  const source = `
    import { Worker } from 'node:worker_threads';
    for (let round = 0; round < 8; round += 1) {
      const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(worker)})));
      await new Promise((resolve) => worker.once('exit', resolve));
    }
    console.log('out');`;
  t.equal((await run(process.execPath, ['--input-type=module', '-e', source], { timeout: 60_000 })).stdout, 'out\n');
});
