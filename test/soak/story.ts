/**
 * The life of one disk: guests that come at any host, write, flush, read what they should find, and go, while operators take and
 * migrate the disk.
 *
 * Invariant: one guest at a time changes the disk, so each sector has one history. Guests that stay attached meanwhile are silent.
 */
import { errorCode } from '../../src/base/error.js';
import type { Host } from '../migration/host.js';
import type { Fleet } from './fleet.js';
import { Guest } from './guest.js';
import { DiskModel } from './model.js';
import { imageVersion, sectorBytes, zeroVersion } from './pattern.js';
import type { Tally } from './tally.js';

type Random = (limit: number) => number;

const blockSectors = 8;
const maxRunSectors = 256;
const maxIdleGuests = 2;

export interface StoryOptions {
  fleet: Fleet;
  /** From 1. */
  disk: number;
  name: string;
  sizeBytes: number;
  imageBytes: number;
  random: Random;
  tally: Tally;
  /** True if nothing befalls the daemons: then no request may fail. */
  isCalm: boolean;
}

export class DiskStory {
  readonly #options: StoryOptions;
  readonly #model: DiskModel;
  readonly #idle: Guest[] = [];
  #version = imageVersion;

  constructor(options: StoryOptions) {
    this.#options = options;
    const sectorCount = options.sizeBytes / sectorBytes;
    const imageSectors = options.imageBytes / sectorBytes;
    this.#model = new DiskModel(
      Uint32Array.from({ length: sectorCount }, (_, sector) => (sector < imageSectors ? imageVersion : zeroVersion)),
    );
  }

  get #where(): Host {
    const { fleet, random } = this.#options;
    return fleet.hosts[random(fleet.hosts.length)] ?? fail();
  }

  async create(): Promise<void> {
    const { name, sizeBytes } = this.#options;
    await this.#where.admin.disks.create({ name, image: 'base', sizeBytes });
  }

  async run(isOver: () => boolean): Promise<void> {
    const { random, tally, name } = this.#options;
    while (!isOver()) {
      const host = this.#where;
      const deed = random(8);
      if (deed === 0) await this.#try('take', () => host.admin.disks.take(name, {}));
      else if (deed === 1) await this.#try('migrate', () => this.#migrate(host));
      else {
        const guest = await this.#try('attach', () => Guest.attach(host.uri(name), this.#options.disk));
        if (guest === undefined) continue;
        tally.count('guests');
        await this.#work(guest);
        await this.#part(guest);
      }
    }
    for (const guest of this.#idle.splice(0)) await guest.kill();
  }

  /** Reads all of the disk at a host and compares. */
  async verify(host: Host): Promise<void> {
    const { name, tally, disk } = this.#options;
    const guest = await Guest.attach(host.uri(name), disk);
    try {
      for (let sector = 0; sector < this.#model.sectorCount; sector += maxRunSectors) {
        const count = Math.min(maxRunSectors, this.#model.sectorCount - sector);
        this.#check(host.nodeId, sector, await guest.ask({ kind: 'read', sector, count }));
      }
      tally.count('verified disks');
    } finally {
      await guest.leave();
    }
  }

  async #work(guest: Guest): Promise<void> {
    const { random } = this.#options;
    const batchCount = 1 + random(8);
    for (let batch = 0; batch < batchCount; batch += 1) {
      const requests = this.#ranges().map(({ sector, count }) => this.#request(guest, sector, count));
      // A VM that is pulled while its requests are under way.
      if (random(24) === 0) await guest.kill();
      const isFine = (await Promise.all(requests)).every((done) => done);
      if (random(2) === 0) await this.#try('flush', () => guest.ask({ kind: 'flush' }));
      if (!isFine) return;
    }
  }

  /** Some ranges that do not overlap. Hot ones come often, so that histories are long. */
  #ranges(): { sector: number; count: number }[] {
    const { random } = this.#options;
    const ranges: { sector: number; count: number }[] = [];
    const wanted = 1 + random(8);
    for (let tries = 0; tries < 20 && ranges.length < wanted; tries += 1) {
      const unit = random(4) === 0 ? 1 : blockSectors;
      const span = random(2) === 0 ? 512 : this.#model.sectorCount;
      const count = Math.min(unit * (1 + random(8)) * (random(8) === 0 ? 4 : 1), maxRunSectors);
      const sector = Math.floor(random(span - count) / unit) * unit;
      if (ranges.every((other) => sector + count <= other.sector || sector >= other.sector + other.count)) ranges.push({ sector, count });
    }
    return ranges;
  }

  /** @returns whether it was answered without an error */
  async #request(guest: Guest, sector: number, count: number): Promise<boolean> {
    const { random, tally } = this.#options;
    const kind = random(10);
    const fua = random(8) === 0;
    if (kind < 4) {
      const versions = await this.#try('read', () => guest.ask({ kind: 'read', sector, count }));
      if (versions === undefined) return false;
      this.#check('a guest', sector, versions);
      tally.count('reads');
      return true;
    }
    const isTrim = kind === 9 && sector % blockSectors === 0 && count % blockSectors === 0;
    const version = kind < 8 ? this.#nextVersion() : zeroVersion;
    this.#model.issue(sector, count, version);
    const done = await this.#try('write', () => {
      if (version !== zeroVersion) return guest.ask({ kind: 'write', sector, count, version, fua });
      return isTrim
        ? guest.ask({ kind: 'trim', sector, count, fua })
        : guest.ask({ kind: 'zero', sector, count, fua, noHole: random(2) === 0 });
    });
    if (done === undefined) return false;
    this.#model.acknowledge(sector, count, version);
    tally.count('writes');
    return true;
  }

  /** It shuts down, is pulled, or stays and says nothing more. */
  async #part(guest: Guest): Promise<void> {
    const { random } = this.#options;
    const way = random(4);
    if (way === 0) await guest.kill();
    else if (way === 1) {
      this.#idle.push(guest);
      if (this.#idle.length > maxIdleGuests) await this.#idle.shift()?.kill();
    } else await guest.leave();
  }

  async #migrate(to: Host): Promise<void> {
    const { name, fleet } = this.#options;
    const from = this.#where;
    if (fleet.hosts.length < 2 || from === to) return;
    const { signal } = new AbortController();
    await from.admin.disks.migrate(name, to.nodeId, { signal, onProgress: () => {} });
  }

  #check(where: string, sector: number, versions: readonly number[]): void {
    const { name, tally } = this.#options;
    for (const fault of this.#model.faults(sector, versions)) tally.fault(`${name}, read at ${where}: ${fault}`);
  }

  /** `undefined` when it failed. A failure is a fault when it is a hang, or when nothing had befallen the daemons. */
  async #try<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    const { name, tally, isCalm } = this.#options;
    try {
      const result = await work();
      if (what === 'take' || what === 'migrate' || what === 'flush') tally.count(what);
      return result;
    } catch (error) {
      const code = errorCode(error);
      const isGuests = what !== 'take' && what !== 'migrate' && code !== 'ERR_GUEST_GONE';
      if (code === 'ERR_HANG' || (isCalm && isGuests)) tally.fault(`${name}: ${what}: ${String(error)}`);
      tally.count(`failed ${what} ${code}`);
      return undefined;
    }
  }

  #nextVersion(): number {
    this.#version += 1;
    return this.#version;
  }
}

function fail(): never {
  throw new Error('there is always one');
}
