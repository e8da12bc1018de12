/**
 * The state directory: its names, the version that may read it, and the lock of its one user.
 *
 *   format            version of the layout as a whole, one line
 *   version           Copse that used the directory last, and the newest formats of its files
 *   lock              held (flock) by the daemon that uses the directory; holds its pid
 *   upgrade.lock      held during steps to new formats, and by `copse state forget`
 *   before-VERSION/   files that the steps of VERSION replaced, until `copse state forget`
 *   catalog/          one JSON file an image
 *   cache/            ID.data and ID.map of each content
 *   manifest/         one file a manifest, named by its digest
 *   disk/             one folder a disk, named by its uuid
 *   disk-notes.json   clients that were displaced from disks, and handovers that are never accepted
 *   disk-losses.json  disks of this node that lost data
 *   disks-known.json  the disks of other nodes as they were last known
 *   node.json         this node's name and token in its cluster
 *   neighbours.json   the nodes that were last known, for a start without etcd
 *   run/              private sockets; emptied at each start
 *
 * Invariants: the owner of a StateDirectory is alone with it until `close`. When it is open, all
 * names above are durable and all files have the formats of this version.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CopseError, errorMessage } from '../base/error.js';
import type { Closeable } from '../base/lifecycle.js';
import { type Logger, silentLogger } from '../base/log.js';
import { makeDirectorySync } from '../base/make-directory.js';
import { native } from '../base/native/loader.js';
import { syncDirectory } from '../base/replace-file.js';
import { version } from '../base/version.js';
import { checkFormat } from './state-format.js';
import { fileKinds } from './upgrade/table.js';
import { upgradeState } from './upgrade/upgrade.js';

export class StateDirectory implements Closeable {
  readonly path: string;
  readonly catalogDir: string;
  readonly cacheDir: string;
  readonly manifestDir: string;
  readonly diskDir: string;
  readonly runDir: string;
  /** Path of the file with this node's identity. */
  readonly nodePath: string;
  /** Path of the file with the last known nodes. */
  readonly neighboursPath: string;
  /** Path of the file with this node's notes on disks that it need not have. */
  readonly diskNotesPath: string;
  /** Path of the file with disks of this node that lost data. */
  readonly diskLossesPath: string;
  /** Path of the file with the last known disks of other nodes. */
  readonly disksKnownPath: string;
  /** Path of the file with contents of disks whose origin this node may open by its own word. */
  readonly diskOriginsPath: string;
  readonly #lockDescriptor: number;

  /**
   * Opens the directory, created (mode 0700) if it is missing.
   *
   * @throws CopseError `ERR_STATE_LOCKED` if another process uses it, `ERR_STATE_VERSION` if a
   * newer version wrote it, `ERR_STATE_UPGRADE` if a step fails, `ERR_STATE` if it can't be used
   */
  constructor(path: string, log: Logger = silentLogger) {
    this.path = path;
    this.catalogDir = join(path, 'catalog');
    this.cacheDir = join(path, 'cache');
    this.manifestDir = join(path, 'manifest');
    this.diskDir = join(path, 'disk');
    this.runDir = join(path, 'run');
    this.nodePath = join(path, 'node.json');
    this.neighboursPath = join(path, 'neighbours.json');
    this.diskNotesPath = join(path, 'disk-notes.json');
    this.diskLossesPath = join(path, 'disk-losses.json');
    this.disksKnownPath = join(path, 'disks-known.json');
    this.diskOriginsPath = join(path, 'disk-origins.json');
    try {
      makeDirectorySync(path, 0o700);
      this.#lockDescriptor = lock(path);
    } catch (error) {
      if (error instanceof CopseError && error.code !== 'ERR_DIRECTORY') throw error;
      throw new CopseError('ERR_STATE', `state directory ${path} can't be used: ${errorMessage(error)}`, { cause: error });
    }
    try {
      checkFormat(path, log);
      upgradeState(path, { log, version, kinds: fileKinds });
      for (const dir of [this.catalogDir, this.cacheDir, this.manifestDir, this.diskDir, this.runDir]) makeDirectorySync(dir, 0o700);
      // An interrupted start may have made them, and not synced.
      syncDirectory(path);
      // Emptied, not made anew: on a full disk there may be no room for a directory.
      for (const name of readdirSync(this.runDir)) rmSync(join(this.runDir, name), { recursive: true, force: true });
    } catch (error) {
      native.unlockFile(this.#lockDescriptor);
      if (error instanceof CopseError && error.code !== 'ERR_DIRECTORY') throw error;
      throw new CopseError('ERR_STATE', `state directory ${path} can't be used: ${errorMessage(error)}`, { cause: error });
    }
  }

  close(): void {
    native.unlockFile(this.#lockDescriptor);
  }
}

function lock(path: string): number {
  const lockPath = join(path, 'lock');
  const descriptor = native.lockFile(lockPath);
  if (descriptor < 0) {
    throw new CopseError(
      'ERR_STATE_LOCKED',
      `state directory ${path} is in use by another copse (pid ${readFileSync(lockPath, 'utf8').trim() || 'unknown'}): stop it, or choose another directory by --state`,
    );
  }
  try {
    writeFileSync(lockPath, `${process.pid}\n`);
  } catch (error) {
    native.unlockFile(descriptor);
    throw error;
  }
  return descriptor;
}
