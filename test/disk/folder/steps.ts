/**
 * What a crash could leave: a copy of a directory before and after each call to the file system that an operation makes, and the order of those that make things durable.
 *
 * Calls are caught where everybody gets them, in `node:fs` and the addon; those of a test in between would be caught, too. At most one recording at a time.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename, join } from 'node:path';
import { native } from '../../../src/base/native/loader.js';

export interface Recording {
  /** Copies of the directory, in order. */
  crashes: string[];
  /** `sync NAME`, `rename NAME NAME`, `remove NAME` */
  order: string[];
}

type Call = (this: unknown, ...args: unknown[]) => unknown;

/** Node's modules as objects that can be patched. */
const modules: [module: object, names: string[]][] = [
  [fs, ['mkdirSync', 'openSync', 'renameSync', 'rmSync', 'truncateSync', 'writeFileSync', 'fsyncSync']],
  [fs.promises, ['mkdir', 'open', 'copyFile', 'rename', 'rm']],
  [native, ['writeOverlayMap', 'openBlockFile']],
];

/** Runs the operation, and copies `dir` to folders of `to` on the way. What the operation throws is thrown. */
export async function record(dir: string, to: string, operation: () => Promise<unknown>): Promise<Recording> {
  const recording: Recording = { crashes: [], order: [] };
  let capturing = false;
  // Who was loaded during the recording may keep what was patched.
  let ended = false;
  const capture = (): void => {
    if (capturing) return;
    capturing = true;
    const crash = join(to, String(recording.crashes.length));
    fs.cpSync(dir, crash, { recursive: true });
    recording.crashes.push(crash);
    capturing = false;
  };
  const note = (text: string): void => {
    if (!capturing) recording.order.push(text);
  };
  const around = (call: Call, name: string): Call =>
    function (this: unknown, ...args: unknown[]) {
      if (capturing || ended) return call.apply(this, args);
      capture();
      const noted = describe(name, args);
      const done = call.apply(this, args);
      const after = (result: unknown): unknown => {
        if (noted !== undefined) note(noted);
        watchHandle(result, String(args[0]));
        capture();
        return result;
      };
      return done instanceof Promise ? done.then(after) : after(done);
    };
  /** Files that are open for writing by name: the addon's, and Node's handles. */
  const watchHandle = (handle: unknown, path: string): void => {
    if (typeof handle !== 'object' || handle === null) return;
    for (const name of ['sync', 'truncate', 'write', 'writeFile']) {
      const call: unknown = Reflect.get(handle, name);
      if (typeof call !== 'function') continue;
      const watched = async (...args: unknown[]): Promise<unknown> => {
        capture();
        const result: unknown = await call.apply(handle, args);
        if (name === 'sync') note(`sync ${basename(path)}`);
        capture();
        return result;
      };
      Object.defineProperty(handle, name, { value: watched, configurable: true, writable: true });
    }
  };
  const originals = modules.flatMap(([module, names]) => names.map((name) => ({ module, name, call: Reflect.get(module, name) as Call })));
  try {
    for (const { module, name, call } of originals) Reflect.set(module, name, around(call, name));
    syncBuiltinESMExports();
    await operation();
    capture();
  } finally {
    ended = true;
    for (const { module, name, call } of originals) Reflect.set(module, name, call);
    syncBuiltinESMExports();
  }
  return recording;
}

/** Runs the operation while the next syncs of directories fail with EIO. */
export function withoutDirectorySync(count: number, operation: () => void): void {
  const { fsyncSync } = fs;
  let left = count;
  fs.fsyncSync = (descriptor) => {
    if (fs.fstatSync(descriptor).isDirectory() && left > 0) {
      left -= 1;
      throw Object.assign(new Error('EIO: i/o error, fsync'), { code: 'EIO' });
    }
    fsyncSync(descriptor);
  };
  syncBuiltinESMExports();
  try {
    operation();
  } finally {
    fs.fsyncSync = fsyncSync;
    syncBuiltinESMExports();
  }
}

function describe(name: string, args: unknown[]): string | undefined {
  const [first, second] = args;
  if (name.startsWith('rename')) return `rename ${basename(String(first))} ${basename(String(second))}`;
  if (name === 'rm' || name === 'rmSync') return `remove ${basename(String(first))}`;
  if (name === 'fsyncSync') return `sync ${basename(fs.readlinkSync(`/proc/self/fd/${Number(first)}`))}`;
  if (name === 'writeFileSync' && flushes(args[2])) return `sync ${basename(String(first))}`;
  if (name === 'writeOverlayMap') return `sync ${basename(String(Reflect.get(Object(first), 'mapPath')))}`;
  return undefined;
}

function flushes(options: unknown): boolean {
  return typeof options === 'object' && options !== null && Reflect.get(options, 'flush') === true;
}
