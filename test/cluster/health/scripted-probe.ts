/** Peers whose answers to pings a test decides, all at addresses of its own. */
import type { OpenProbe, PingAnswer, Probe } from '../../../src/cluster/health/probe.js';
import type { NodeStatement } from '../../../src/cluster/node.js';

/** One ping that waits for its script. */
export interface Ping {
  signal: AbortSignal;
  answer(statement: NodeStatement, rttUs?: number): void;
  fail(error: Error): void;
}

export class ScriptedAddress {
  /** What it says at once to every ping; `undefined` has pings wait. */
  statement: NodeStatement | undefined;
  /** What every ping fails with at once. */
  failure: Error | undefined = new Error('nobody listens');
  rttUs = 100;
  readonly waiting: Ping[] = [];
  pingCount = 0;
  probe: { closed: boolean; onLost: () => void } | undefined;

  up(statement: NodeStatement): void {
    this.statement = statement;
    this.failure = undefined;
  }

  down(): void {
    this.statement = undefined;
    this.failure = new Error('nobody listens');
  }

  mute(): void {
    this.statement = undefined;
    this.failure = undefined;
  }
}

export class ScriptedNetwork {
  readonly #addresses = new Map<string, ScriptedAddress>();

  at(address: string): ScriptedAddress {
    const known = this.#addresses.get(address);
    if (known !== undefined) return known;
    const made = new ScriptedAddress();
    this.#addresses.set(address, made);
    return made;
  }

  readonly open: OpenProbe = (address, onLost): Probe => {
    const script = this.at(address);
    const probe = { closed: false, onLost };
    script.probe = probe;
    return {
      ping: ({ signal }) => {
        script.pingCount += 1;
        if (script.failure !== undefined) return Promise.reject(script.failure);
        if (script.statement !== undefined) return Promise.resolve({ statement: script.statement, rttUs: script.rttUs });
        return new Promise<PingAnswer>((resolve, reject) => {
          const answer = (statement: NodeStatement, rttUs = script.rttUs): void => resolve({ statement, rttUs });
          script.waiting.push({ signal, answer, fail: reject });
        });
      },
      close: () => {
        probe.closed = true;
      },
    };
  };
}
