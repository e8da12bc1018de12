/**
 * A network on one machine, for measurements and fault tests: hosts on a switch, and an origin far away behind a slow line.
 *
 *     host 1 ── 1 Gbit/s ──┐
 *     host 2 ── 1 Gbit/s ──┤ switch ── 200 Mbit/s, 20 ms there and back ── origin
 *     …                    ┘
 *
 * Every place is a network namespace; nothing of the lab is in the machine's own network, so many labs can be there at once and use the same addresses.
 * Rates are kept by tbf on both ends of each link, latency by `relay.c`. Needs root.
 *
 * Invariant: all of it goes with `close`, at this process's end at the latest; what a killed process left goes when the next lab starts.
 */
import { execa } from 'execa';
import type { Closeable } from '../../src/base/lifecycle.js';
import { namePrefix, removeNamespace, removeNamespacesNow, sweep } from './namespace.js';
import { LabPlace } from './place.js';
import { type Relay, startRelay } from './relay.js';
import { nearDevice, wireHosts, wireOrigin } from './wiring.js';

export interface LabOptions {
  /** 1 to 200. */
  hostCount: number;
  /** Of each host's link, each way; 0: no limit. */
  hostBitsPerSecond?: number;
  /** Of the origin's link, each way; 0: no limit. */
  originBitsPerSecond?: number;
  /** Added to the way to the origin and back, together. */
  originLatencyMs?: number;
}

const originAddress = '10.32.0.1';

export class Lab implements Closeable {
  readonly hosts: readonly LabPlace[];
  readonly origin: LabPlace;
  /** Does the latency: for its CPU time. */
  readonly relayPid: number;
  readonly #names: readonly string[];
  readonly #relay: Relay;
  readonly #removeNow: () => void;

  private constructor(hosts: readonly LabPlace[], origin: LabPlace, relay: Relay, names: readonly string[], removeNow: () => void) {
    this.hosts = hosts;
    this.origin = origin;
    this.#relay = relay;
    this.relayPid = relay.pid;
    this.#names = names;
    this.#removeNow = removeNow;
  }

  /** Why there can be no lab here; undefined when there can. */
  static async unavailable(): Promise<string | undefined> {
    if (process.getuid?.() !== 0) return 'network namespaces need root';
    const missing = ['ip', 'tc', 'iptables', 'gcc'].map(async (program) => {
      const { failed } = await execa(program, [program === 'gcc' ? '--version' : '-V'], { reject: false });
      return failed ? [program] : [];
    });
    const names = (await Promise.all(missing)).flat();
    return names.length === 0 ? undefined : `${names.join(', ')} not installed (iproute2, iptables, gcc)`;
  }

  static async start(options: LabOptions): Promise<Lab> {
    const { hostCount, hostBitsPerSecond = 1e9, originBitsPerSecond = 200e6, originLatencyMs = 20 } = options;
    await sweep();
    const prefix = namePrefix();
    const hosts = Array.from({ length: hostCount }, (_, i) => new LabPlace(`${prefix}-h${i + 1}`, `10.31.0.${i + 1}`, 'eth0'));
    const origin = new LabPlace(`${prefix}-o`, originAddress, 'far');
    const hub = `${prefix}-s`;
    const names = [hub, origin.netns, ...hosts.map(({ netns }) => netns)];
    const removeNow = (): void => removeNamespacesNow(names);
    process.once('exit', removeNow);
    try {
      await execa('ip', ['-batch', '-'], { input: names.map((name) => `netns add ${name}\n`).join('') });
      const relay = await startRelay(
        { netns: hub, device: nearDevice },
        { netns: origin.netns, device: origin.device },
        originLatencyMs / 2,
      );
      await Promise.all([wireHosts(hub, hosts, hostBitsPerSecond), wireOrigin(hub, origin, originBitsPerSecond)]);
      return new Lab(hosts, origin, relay, names, removeNow);
    } catch (cause) {
      process.removeListener('exit', removeNow);
      await Promise.all(names.map(removeNamespace));
      throw cause;
    }
  }

  /**
   * Loses every packet from one place to another. One way only: what `to` sends still arrives, as of a broken switch port. Cut both ways by two calls.
   * Connections hang: nobody is told.
   */
  async cut(from: LabPlace, to: LabPlace): Promise<void> {
    await to.run('iptables', ['-w', '-I', 'INPUT', '-s', from.address, '-j', 'DROP']);
  }

  /** Ends one `cut`. @throws when there was none */
  async restore(from: LabPlace, to: LabPlace): Promise<void> {
    await to.run('iptables', ['-w', '-D', 'INPUT', '-s', from.address, '-j', 'DROP']);
  }

  /** Processes that still run in the lab are killed. */
  async close(): Promise<void> {
    await this.#relay.close();
    await Promise.all(this.#names.map(removeNamespace));
    process.removeListener('exit', this.#removeNow);
  }
}
