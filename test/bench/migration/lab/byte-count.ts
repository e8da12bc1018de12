/** Counts what passes one host's interface from and to one TCP port, headers of IP included, both ways. */
import type { LabPlace } from '../../../lab/place.js';

export class ByteCount {
  readonly #place: LabPlace;
  readonly #port: number;

  private constructor(place: LabPlace, port: number) {
    this.#place = place;
    this.#port = port;
  }

  /** By rules of the firewall that do nothing but count; they go with the lab. */
  static async start(place: LabPlace, port: number): Promise<ByteCount> {
    for (const chain of ['INPUT', 'OUTPUT']) {
      for (const side of ['--sport', '--dport']) await place.run('iptables', ['-w', '-A', chain, '-p', 'tcp', side, String(port)]);
    }
    return new ByteCount(place, port);
  }

  async bytes(): Promise<number> {
    const text = await this.#place.run('iptables', ['-w', '-nvxL']);
    const lines = text.split('\n').filter((line) => new RegExp(`\\b[sd]pt:${this.#port}\\b`).test(line));
    return lines.reduce((sum, line) => sum + Number(line.trim().split(/\s+/)[1]), 0);
  }
}
