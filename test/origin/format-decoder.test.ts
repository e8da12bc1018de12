import { readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import t, { type Test } from 'tap';
import { errorCode } from '../../src/base/error.js';
import { silentLogger } from '../../src/base/log.js';
import { Decoder, type DecoderOptions } from '../../src/origin/format/decoder.js';
import { auditDescriptors } from '../../src/origin/format/descriptor-audit.js';
import { awaitGreeting } from '../../src/origin/format/greeting.js';
import type { FormatLayer } from '../../src/origin/format/layer.js';
import { OriginError } from '../../src/origin/origin.js';
import { until } from '../support/wait.js';
import { containerOf, makeImage, qemuImg, shortDirectory, writeContent } from './format-fixture.js';

function decoderOf(t: Test, layer: FormatLayer, runDir: string, options: Partial<DecoderOptions> = {}): Decoder {
  const decoder = new Decoder(layer, { runDir, log: silentLogger, ...options });
  t.teardown(() => decoder.close());
  return decoder;
}

async function readBy(directory: string, socketPath: string): Promise<Buffer> {
  const target = join(directory, 'decoded.raw');
  await qemuImg('convert', '-f', 'raw', '-O', 'raw', `nbd+unix:///?socket=${socketPath}`, target);
  return readFile(target);
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

t.test('decodes, and leaves nothing behind', async (t) => {
  const directory = await shortDirectory(t);
  const { path, content } = await writeContent(directory);
  const image = await makeImage(directory, path, 'qcow2');
  const runDir = await shortDirectory(t);
  const decoder = decoderOf(t, { container: await containerOf(directory, image), format: 'qcow2' }, runDir);
  const [first, second] = await Promise.all([decoder.running(), decoder.running()]);
  t.equal(first.pid, second.pid, 'one process however many ask');
  t.ok((await readBy(directory, first.socketPath)).equals(content), 'the bytes');
  await decoder.close();
  t.notOk(isAlive(first.pid), 'the process is gone');
  t.same(await readdir(runDir), [], 'its directory too');
  await t.rejects(decoder.running(), { code: 'ERR_CLOSED' });
});

t.test('has few privileges', async (t) => {
  const directory = await shortDirectory(t);
  const { path } = await writeContent(directory);
  const image = await makeImage(directory, path, 'qcow2');
  const decoder = decoderOf(t, { container: await containerOf(directory, image), format: 'qcow2' }, directory);
  const { pid } = await decoder.running();
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  t.match(status, /^Name:\tqemu-nbd$/m);
  t.match(status, /^NoNewPrivs:\t1$/m);
  t.match(status, /^CapEff:\t0+$/m);
  t.match(status, /^CapBnd:\t/m);
  t.match(await readFile(`/proc/${pid}/limits`, 'utf8'), /^Max file size +0 /m);
  t.notMatch(await readFile(`/proc/${pid}/environ`, 'utf8'), /(^|\0)(PATH|HOME|USER)=/, 'nothing of our environment');
  const permitted = await execa('unshare', ['--net', 'true'], { reject: false });
  if (permitted.exitCode === 0) t.not(await readlink(`/proc/${pid}/ns/net`), await readlink('/proc/self/ns/net'), 'a network of its own');
});

t.test('is started again after its end', async (t) => {
  const directory = await shortDirectory(t);
  const { path, content } = await writeContent(directory);
  const image = await makeImage(directory, path, 'vmdk', 'subformat=streamOptimized');
  const decoder = decoderOf(t, { container: await containerOf(directory, image), format: 'vmdk' }, directory);
  const first = await decoder.running();
  process.kill(first.pid, 'SIGKILL');
  await first.ended;
  const second = await decoder.running();
  t.not(second.pid, first.pid);
  t.ok((await readBy(directory, second.socketPath)).equals(content));
});

t.test('a process that keeps ending is started less and less often', async (t) => {
  const directory = await shortDirectory(t);
  const { path } = await writeContent(directory);
  const image = await makeImage(directory, path, 'qcow2');
  let nowMs = 0;
  const clock = { nowMs: () => nowMs, after: () => () => undefined };
  const container = await containerOf(directory, image);
  const decoder = decoderOf(t, { container, format: 'qcow2' }, directory, { clock });
  for (let round = 0; round < 2; round += 1) {
    nowMs += 1;
    const decoding = await decoder.running();
    nowMs += 1;
    process.kill(decoding.pid, 'SIGKILL');
    await decoding.ended;
  }
  await t.rejects(decoder.running(), { code: 'ERR_ORIGIN_UNAVAILABLE' }, 'a pause');
  t.equal(container.openCount, 2);
  nowMs += 101;
  t.ok(await decoder.running(), 'then another try');
});

t.test('an image that is broken is ERR_FORMAT', async (t) => {
  const directory = await shortDirectory(t);
  const { path } = await writeContent(directory);
  const image = await makeImage(directory, path, 'qcow2');
  const bytes = await readFile(image);
  bytes.writeUInt32BE(63, 20);
  await writeFile(image, bytes);
  const decoder = decoderOf(t, { container: await containerOf(directory, image), format: 'qcow2' }, directory);
  await t.rejects(decoder.running(), { code: 'ERR_FORMAT' }, 'a cluster size of 2^63');
});

t.test('an image that can not be read is ERR_ORIGIN_UNAVAILABLE, or what the private export says', async (t) => {
  const directory = await shortDirectory(t);
  const { path } = await writeContent(directory);
  const image = await makeImage(directory, path, 'qcow2');
  const container = await containerOf(directory, image);
  container.failure = new Error('a bad disk');
  await t.rejects(decoderOf(t, { container, format: 'qcow2' }, directory).running(), { code: 'ERR_ORIGIN_UNAVAILABLE' });
  container.failure = new OriginError('ERR_ORIGIN_CHANGED', 'another ETag');
  await t.rejects(decoderOf(t, { container, format: 'qcow2' }, directory).running(), { code: 'ERR_ORIGIN_CHANGED' });
});

t.test('a start that hangs is given up', async (t) => {
  // As a daemon's listeners do: timers of Copse's clock alone keep no process alive.
  const alive = setInterval(() => undefined, 1000);
  t.teardown(() => clearInterval(alive));
  const directory = await shortDirectory(t);
  const { path } = await writeContent(directory);
  const image = await makeImage(directory, path, 'qcow2');
  const container = await containerOf(directory, image);
  container.hangs = true;
  const decoder = decoderOf(t, { container, format: 'qcow2' }, directory, { startTimeoutMs: 700 });
  await t.rejects(decoder.running(), { code: 'ERR_ORIGIN_UNAVAILABLE' });
  const other = decoderOf(t, { container, format: 'qcow2' }, directory);
  const starting = other.running().then(
    () => 'started',
    (error: unknown) => errorCode(error),
  );
  await other.close();
  t.equal(await starting, 'ERR_CLOSED', 'close ends a start');
});

t.test('without qemu-nbd the error names the package', async (t) => {
  const directory = await shortDirectory(t);
  const { path } = await writeContent(directory);
  const image = await makeImage(directory, path, 'qcow2');
  const container = await containerOf(directory, image);
  for (const searchPath of ['', directory]) {
    await t.rejects(decoderOf(t, { container, format: 'qcow2' }, directory, { searchPath }).running(), {
      code: 'ERR_FORMAT',
      message: /qemu-utils/,
    });
  }
});

t.test('a mapped backing file is read through an export of its own, whatever the image calls it', async (t) => {
  const directory = await shortDirectory(t);
  const { path, content } = await writeContent(directory);
  const base = await makeImage(directory, path, 'vdi');
  content.fill(9, 4 << 20, (4 << 20) + 65536);
  for (const [format, name] of [
    ['qcow2', '/nowhere/base, "of" all.vdi'],
    ['qcow2', '/etc/hostname'],
    ['qcow2', 'nbd+unix:///?socket=/nowhere'],
    ['qed', '/etc/hostname'],
    ['qcow', '/etc/hostname'],
  ] as const) {
    const overlay = join(directory, `overlay.${format}`);
    await qemuImg('create', '-q', '-u', '-f', format, '-b', base, '-F', 'vdi', overlay, '8M');
    await execa('qemu-io', ['-f', format, '-c', 'write -P 9 4M 64k', overlay]);
    await qemuImg('rebase', '-u', '-f', format, '-b', name, '-F', 'vdi', overlay).catch(() => rename(overlay, base, name));
    const below: FormatLayer = { container: await containerOf(directory, base), format: 'vdi' };
    const layer = { container: await containerOf(directory, overlay), format, backing: { [name]: below } };
    const decoder = decoderOf(t, layer, directory);
    const decoding = await decoder.running();
    t.ok((await readBy(directory, decoding.socketPath)).equals(content), `${format} over ${name}`);
    await decoder.close();
  }
});

/** Writes another backing file's name over one that is longer, for formats that qemu-img can't rebase. */
async function rename(path: string, from: string, to: string): Promise<void> {
  const bytes = await readFile(path);
  bytes.write(to, bytes.indexOf(from), 'latin1');
  bytes.writeUInt32BE(to.length, 16);
  await writeFile(path, bytes);
}

t.test('the audit sees files, devices, foreign sockets', async (t) => {
  const directory = await shortDirectory(t);
  const { path } = await writeContent(directory);
  const image = await makeImage(directory, path, 'qcow2');
  const handle = await (await containerOf(directory, image)).privateExport.open();
  t.teardown(() => handle.close());
  const audit = async (fileName: string, exportPaths: string[], privateNetwork = false): Promise<string[]> => {
    const listenPath = join(directory, 'plain');
    const qemu = ['qemu-nbd', '--read-only', '--persistent', `--socket=${listenPath}`, fileName];
    const [program = '', ...args] = privateNetwork ? ['unshare', '--net', ...qemu] : qemu;
    const child = execa(program, args, { reject: false, stdin: 'ignore', stdout: 'ignore', buffer: false });
    let probe: Socket | undefined;
    try {
      // Open until the end, as the decoder keeps it: a socket that closes under the audit is in one list and not in the next.
      probe = await awaitGreeting(listenPath, AbortSignal.timeout(60_000));
      return await auditDescriptors(child.pid ?? 0, { listenPath, exportPaths, privateNetwork });
    } finally {
      probe?.destroy();
      child.kill('SIGKILL');
      await child;
    }
  };
  const nbd = `json:{"driver":"qcow2","file":{"driver":"nbd","export":"container","server":{"type":"unix","path":"${handle.socketPath}"}}}`;
  t.same(await audit(nbd, [handle.socketPath]), [], 'as it should be');
  t.match(await audit(image, []), [image], 'a regular file');
  t.match(await audit(nbd, []), [/1 connections/], 'one connection more');
  const permitted = await execa('unshare', ['--net', 'true'], { reject: false });
  if (permitted.exitCode === 0) {
    t.same(await audit(nbd, [handle.socketPath], true), [], 'in a network of its own');
    t.match(await audit(nbd, ['/another'], true), [/a connection to /], 'the same number of connections, to somebody else');
  }
  t.match(await auditDescriptors(2 ** 22 + 1, { listenPath: '', exportPaths: [], privateNetwork: false }), [/can't be looked at/]);
});

t.test('ends when this process is killed', async (t) => {
  const directory = await shortDirectory(t);
  const { path } = await writeContent(directory);
  const image = await makeImage(directory, path, 'qcow2');
  const handle = await (await containerOf(directory, image)).privateExport.open();
  t.teardown(() => handle.close());
  const module = new URL('../../src/origin/format/qemu-nbd.js', import.meta.url).href;
  const script = `
    const { startQemuNbd } = await import(${JSON.stringify(module)});
    const log = { debug() {} };
    const handle = { socketPath: ${JSON.stringify(handle.socketPath)}, exportName: 'container' };
    const run = await startQemuNbd({ url: 'test', layers: [{ format: 'qcow2', handle }], socketPath: ${JSON.stringify(join(directory, 'kill'))},
      searchPath: process.env.PATH, log, signal: new AbortController().signal });
    console.log(run.pid);`;
  const parent = execa(process.execPath, ['--input-type=module', '-e', script], { reject: false, buffer: false, stderr: 'inherit' });
  const pid = await new Promise<number>((resolve) => parent.stdout.once('data', (text) => resolve(Number(String(text)))));
  t.ok(isAlive(pid));
  parent.kill('SIGKILL');
  await parent;
  await until('qemu-nbd is gone', async () => !isRunning(await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')));
  t.pass('qemu-nbd is gone');
});

/** A process that nobody reaped is dead all the same. Format: proc(5), the state follows the name. */
const isRunning = (stat: string): boolean => stat !== '' && !/\) [ZX] /.test(stat);
