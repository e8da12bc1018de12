/** The files of a disk whose process ends badly: made, written to by children, looked at. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BlockState } from '../../src/base/native/overlay.js';
import { pattern } from '../conformance/content.js';
import {
  type OverlayFiles,
  openDisk,
  openOverlay,
  overlayFiles,
  readDisk,
  remoteState,
  ScriptedBase,
  ScriptedRemote,
  withCalls,
  writeMap,
} from '../disk/overlay/parts.js';
import type { ChildOptions } from './disk-child.js';
import { type LogRecord, parseLog } from './disk-log.js';

const blockBytes = 4096;
export const diskBytes = 192 * blockBytes;

const childPath = fileURLToPath(new URL('./disk-child.js', import.meta.url));
/** In the source tree: tsc copies no C. Seen from dist/test/property. */
const shimSource = fileURLToPath(new URL('../../../test/property/power-loss.c', import.meta.url));

export class DiskPlace {
  readonly folder: string;
  readonly files: OverlayFiles;
  readonly #base: Buffer;
  readonly #remote: Buffer;

  private constructor(folder: string) {
    this.folder = folder;
    this.files = overlayFiles(folder, diskBytes);
    this.#base = pattern(Math.floor(diskBytes * 0.7) + 77, 21);
    this.#base.fill(0, 30 * blockBytes, 40 * blockBytes);
    this.#remote = pattern(diskBytes, 22);
  }

  /** A new disk over a base, with some blocks on another node. */
  static async make(folder: string): Promise<DiskPlace> {
    const place = new DiskPlace(folder);
    writeFileSync(join(folder, 'base'), place.#base);
    writeFileSync(join(folder, 'remote'), place.#remote);
    const states = Uint8Array.from({ length: diskBytes / blockBytes }, (_, index) => {
      if (index % 16 < 5 && index > 7) return remoteState(1);
      return index % 16 === 6 ? BlockState.zero : BlockState.base;
    });
    await writeMap(place.files, states);
    writeFileSync(place.files.dataPath, '');
    return place;
  }

  /** What the disk holds, as a process that opens it anew sees it. Also what it says of itself is checked: holes must be zeros. */
  async content(files: OverlayFiles = this.files): Promise<Buffer> {
    const overlay = openOverlay(files);
    // Looking changes nothing: what comes from the other node does not stay, what is to be punched waits.
    const looking = withCalls(overlay, { fill: () => Promise.resolve(0), flush: () => Promise.resolve() });
    const { disk } = openDisk(looking, { base: new ScriptedBase(this.#base), remote: new ScriptedRemote(this.#remote) });
    try {
      const bytes = await readDisk(disk, 0, diskBytes);
      let at = 0;
      for (const { lengthBytes, zero } of await disk.extents(0, diskBytes, 100_000)) {
        if (zero && bytes.subarray(at, at + lengthBytes).some((byte) => byte !== 0)) throw new Error(`no zeros at ${at}`);
        at += lengthBytes;
      }
      return bytes;
    } finally {
      await disk.close();
    }
  }

  /** The disk's files themselves. */
  raw(): Buffer[] {
    return [readFileSync(this.files.dataPath), readFileSync(this.files.mapPath)];
  }

  /** Files that hold these bytes instead. */
  replace([data, map]: Buffer[], files: OverlayFiles = this.files): void {
    if (data === undefined || map === undefined) throw new Error('two files');
    writeFileSync(files.dataPath, data);
    writeFileSync(files.mapPath, map);
    // Believed until the machine restarts, which it has.
    for (const log of ['.log0', '.log1']) rmSync(`${files.mapPath}${log}`, { force: true });
  }

  /** What to start a child with, whose log is empty. */
  child(model: Buffer, options: { seed: number; operationCount: number; callerCount: number }): { path: string; argument: string } {
    const logPath = join(this.folder, 'log');
    rmSync(logPath, { force: true });
    const modelPath = join(this.folder, 'model');
    writeFileSync(modelPath, model);
    const argument: ChildOptions = {
      ...this.files,
      ...options,
      logPath,
      modelPath,
      basePath: join(this.folder, 'base'),
      remotePath: join(this.folder, 'remote'),
    };
    return { path: childPath, argument: JSON.stringify(argument) };
  }

  log(): LogRecord[] {
    const path = join(this.folder, 'log');
    return existsSync(path) ? parseLog(readFileSync(path)) : [];
  }

  /** Environment of a process whose changes of the disk's files are logged, too. */
  async loggedEnvironment(): Promise<NodeJS.ProcessEnv> {
    const shim = join(this.folder, 'power-loss.so');
    await promisify(execFile)('gcc', ['-O2', '-Wall', '-Werror', '-shared', '-fPIC', '-o', shim, shimSource, '-ldl']);
    const { dataPath, mapPath } = this.files;
    return {
      ...process.env,
      LD_PRELOAD: shim,
      POWER_LOSS_LOG: join(this.folder, 'log'),
      POWER_LOSS_FILES: `${dataPath}:${mapPath}`,
    };
  }
}
