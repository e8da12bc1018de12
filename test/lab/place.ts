/** One machine of the lab: a network namespace with an address. Files and unix sockets are those of the real machine. */
import { execa } from 'execa';

export interface Traffic {
  sentBytes: number;
  receivedBytes: number;
}

export class LabPlace {
  readonly netns: string;
  readonly address: string;
  /** Its network interface. */
  readonly device: string;

  constructor(netns: string, address: string, device: string) {
    this.netns = netns;
    this.address = address;
    this.device = device;
  }

  /** The command that runs the given one here. The process that it starts becomes the given program: same pid, same signals. */
  command(program: string, args: readonly string[]): { command: string; args: string[] } {
    return { command: 'ip', args: ['netns', 'exec', this.netns, program, ...args] };
  }

  /** Runs a short program here to its end and resolves to its output. */
  async run(program: string, args: readonly string[], options: { input?: string } = {}): Promise<string> {
    const { command, args: all } = this.command(program, args);
    const { stdout } = await execa(command, all, { input: options.input ?? '' });
    return stdout;
  }

  /** What passed its interface since the lab started, headers of IP included (an unsegmented packet counts those of its segments once). */
  async traffic(): Promise<Traffic> {
    const { stdout } = await execa('ip', ['-n', this.netns, '-s', '-j', 'link', 'show', 'dev', this.device]);
    const [link] = JSON.parse(stdout) as { stats64: { rx: { bytes: number }; tx: { bytes: number } } }[];
    return { sentBytes: link?.stats64.tx.bytes ?? 0, receivedBytes: link?.stats64.rx.bytes ?? 0 };
  }
}
