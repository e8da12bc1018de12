/**
 * Two hosts of a lab with a daemon each, and a disk that was written to before a guest ever ran on it: what all tests of moving begin with, and the comparison with which they end.
 *
 *     0 to 16 MiB            the image, as it is
 *     from 16 MiB            the guest's records
 *     24 to 24 + N MiB       what was written before
 *     the rest               nothing: zeros
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { type Closeable, Lifecycle } from '../../src/base/lifecycle.js';
import { MiB } from '../../src/base/size.js';
import type { Guest } from '../bench/migration/lab/guest.js';
import { Lab } from '../lab/lab.js';
import { until } from '../support/wait.js';
import { buildGuest } from './guest.js';
import { Host } from './host.js';
import { recordsBytes, recordsOffset, wrongRecords } from './record.js';
import { Vm, type VmOptions } from './vm.js';

export const diskName = 'vm/1';
const diskBytes = 96 * MiB;
const imageBytes = recordsOffset;
const dirtyOffset = 24 * MiB;
/** What is repeated in what was written before; prime to the block, so that no two blocks are alike. */
const pieceBytes = MiB - 512;

export interface SceneOptions {
  /** Of the hosts' links, each way; 0: no limit. */
  bitsPerSecond: number;
  /** Written before the guest starts. At most 64. */
  dirtyMiB: number;
  /** Of a request of the guest; the daemon's default when absent. */
  deadlineMs?: number;
}

interface SendOptions {
  /** It stands still when it has come, too, until `resume`. */
  isPaused?: boolean;
  /** Done while the source's QEMU is still attached: its end alone can begin a handover. */
  beforeEnd?(): Promise<void>;
}

export class Scene implements Closeable {
  readonly lab: Lab;
  readonly a: Host;
  readonly b: Host;
  readonly #parts: Lifecycle;
  readonly #guest: Guest;
  readonly #dir: string;
  readonly #image: Buffer;
  readonly #dirty: Buffer;
  /** In the order of their start. */
  readonly #vms: Vm[] = [];

  private constructor(lab: Lab, hosts: [Host, Host], parts: Lifecycle, guest: Guest, dir: string, image: Buffer, dirty: Buffer) {
    this.lab = lab;
    [this.a, this.b] = hosts;
    this.#parts = parts;
    this.#guest = guest;
    this.#dir = dir;
    this.#image = image;
    this.#dirty = dirty;
  }

  /** The disk is on host a. */
  static async start({ bitsPerSecond, dirtyMiB, deadlineMs }: SceneOptions): Promise<Scene> {
    const guest = await buildGuest();
    const parts = new Lifecycle();
    try {
      // Not t.testdir: a unix socket's path may have 107 bytes only.
      const dir = await mkdtemp(join(tmpdir(), 'copse-m-'));
      parts.own({ close: () => rm(dir, { recursive: true, force: true }) });
      const lab = parts.own(await Lab.start({ hostCount: 2, hostBitsPerSecond: bitsPerSecond, originLatencyMs: 0 }));
      const image = randomBytes(imageBytes);
      const imagePath = join(dir, 'base.raw');
      await writeFile(imagePath, image);
      const start = async (index: number): Promise<Host> => {
        const place = lab.hosts[index];
        if (place === undefined) throw new Error('the lab has two hosts');
        return parts.own(
          await Host.start({ place, peers: lab.hosts, nodeId: `host-${'ab'[index]}`, dir: join(dir, `${index}`), imagePath }),
        );
      };
      const hosts: [Host, Host] = await Promise.all([start(0), start(1)]);
      const dirty = repeated(randomBytes(pieceBytes), dirtyMiB * MiB);
      const scene = new Scene(lab, hosts, parts, guest, dir, image, dirty);
      await scene.whole();
      await scene.#makeDisk(deadlineMs);
      return scene;
    } catch (cause) {
      await parts.close();
      throw cause;
    }
  }

  async startVm(options: Omit<VmOptions, 'guest' | 'diskName'>): Promise<Vm> {
    const vm = this.#parts.own(await Vm.start({ ...options, guest: this.#guest, diskName }));
    this.#vms.push(vm);
    return vm;
  }

  /**
   * Sends the VM to another host, where it runs unless it is to stand still; what becomes of the disk is the caller's to see. Its memory goes through a socket and no network,
   * so that the link between the hosts is Copse's alone. It stands still meanwhile: live.test.ts sends running ones.
   */
  async send(vm: Vm, to: Host, { isPaused = false, beforeEnd }: SendOptions = {}): Promise<Vm> {
    const name = `vm-${this.#vms.length}`;
    const incoming = `unix:${join(this.#dir, `${name}.ram`)}`;
    const next = await this.startVm({ host: to, name, incoming });
    await vm.sendTo(next, incoming);
    if (!isPaused) await next.resume();
    await beforeEnd?.();
    await vm.close();
    return next;
  }

  /** Resolves once all of the disk is on the one host and nothing on the other, and it alone owns it. */
  async settled(host: Host, other: Host): Promise<void> {
    await host.hasAllOf(diskName);
    await other.hasNoFolder();
    const [owner, ...others] = await this.owners();
    if (owner !== host.nodeId || others.length > 0) throw new Error(`${host.nodeId} should own the disk, not ${[owner, ...others]}`);
  }

  /** Resolves once both hosts see each other. */
  async whole(): Promise<void> {
    await Promise.all([this.a.sees(2), this.b.sees(2)]);
  }

  /** What any of the guest's consoles has said that was wrong. */
  get complaints(): string[] {
    return this.#vms.flatMap(({ console }) => [...console.bad, ...(console.badCount > 0 ? [`${console.badCount} in all`] : [])]);
  }

  /** Records that the guest said were durable, wherever it ran. */
  get reportedCount(): number {
    return this.#vms.reduce((sum, { console }) => sum + console.written.length, 0);
  }

  /** Nodes whose durable log says that they own the disk. There must never be two. */
  async owners(): Promise<string[]> {
    const logs = await Promise.all([this.a, this.b].map(async (host) => ({ host, log: await host.ownerLog() })));
    return logs.flatMap(({ host, log }) => (log?.state === 'owner' ? [host.nodeId] : []));
  }

  /** Has a VM that failed requests have paused try them again, until it has written so many records more. Resolves to how often that was needed. */
  async goesOn(vm: Vm, recordCount: number): Promise<number> {
    let resumeCount = 0;
    const wanted = vm.console.written.length + recordCount;
    await until(
      `${recordCount} records`,
      async () => {
        if (vm.console.written.length >= wanted) return true;
        if ((await vm.status()) !== 'io-error') return undefined;
        resumeCount += 1;
        await vm.resume();
        return undefined;
      },
      async () => ({ vm: await vm.status(), a: await this.a.ownerLog(), b: await this.b.ownerLog(), last: vm.console.last }),
    );
    return resumeCount;
  }

  /** Reads the disk at the host and compares it with what has to be there. */
  async wrongOnDisk(host: Host): Promise<string[]> {
    const path = join(this.#dir, 'disk.raw');
    await execa('qemu-img', ['convert', '-f', 'raw', '-O', 'raw', host.uri(diskName), path]);
    const disk = await readFile(path);
    const range = (offset: number, lengthBytes: number): Buffer => disk.subarray(offset, offset + lengthBytes);
    const wrong = wrongRecords(
      range(recordsOffset, recordsBytes),
      this.#vms.flatMap(({ console }) => console.written),
    );
    if (!range(0, imageBytes).equals(this.#image)) wrong.push('the image is not what it was');
    if (!range(dirtyOffset, this.#dirty.length).equals(this.#dirty)) wrong.push('what was written before is not there');
    const rest = range(dirtyOffset + this.#dirty.length, diskBytes);
    if (!rest.equals(Buffer.alloc(diskBytes - dirtyOffset - this.#dirty.length)))
      wrong.push('there is something where nothing was written');
    return wrong;
  }

  async close(): Promise<void> {
    await this.#parts.close();
  }

  async #makeDisk(deadlineMs: number | undefined): Promise<void> {
    await this.a.admin.disks.create({ name: diskName, image: 'base', sizeBytes: diskBytes, deadlineMs });
    const path = join(this.#dir, 'piece');
    await writeFile(path, this.#dirty.subarray(0, pieceBytes));
    const command = `write -s ${path} ${dirtyOffset} ${this.#dirty.length}`;
    await execa('qemu-io', ['-f', 'raw', '-c', command, '-c', 'flush', this.a.uri(diskName)]);
  }
}

function repeated(piece: Buffer, lengthBytes: number): Buffer {
  return Buffer.alloc(lengthBytes, piece);
}
