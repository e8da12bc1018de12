/**
 * This node's identity beyond its id, kept in the state directory: a random token that tells it
 * from another node with the same id, and the cluster that it chose.
 *
 * Invariant: everything that it returns is durable already.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { errorCode, errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import { replaceFile } from '../../base/replace-file.js';

const choiceSchema = z.object({
  name: z.string(),
  /** Measurements and conclusion, for people. */
  reason: z.string(),
  /** ISO 8601. */
  chosenAt: z.string(),
});

export type RememberedChoice = z.infer<typeof choiceSchema>;

const identitySchema = z.object({ version: z.literal(1), token: z.string().regex(/^[0-9a-f]{32}$/), cluster: choiceSchema.optional() });

export class NodeIdentity {
  readonly #path: string;
  #identity: z.infer<typeof identitySchema>;

  /**
   * Makes a new identity if there is none, or an unreadable one. @throws Error of the file system
   * if it can't be written
   */
  constructor(path: string, log: Logger) {
    this.#path = path;
    const found = read(path, log);
    this.#identity = found ?? { version: 1, token: randomBytes(16).toString('hex') };
    if (found === undefined) this.#write(this.#identity);
  }

  /** 32 hexadecimal digits. */
  get token(): string {
    return this.#identity.token;
  }

  /** The choice of `auto`, or of an operator instead; `undefined` before the first choice. */
  get choice(): RememberedChoice | undefined {
    return this.#identity.cluster;
  }

  remember(choice: RememberedChoice): void {
    this.#write({ ...this.#identity, cluster: choice });
  }

  /** Lets the next `auto` measure and choose again. */
  forgetChoice(): void {
    const { cluster: _cluster, ...rest } = this.#identity;
    this.#write(rest);
  }

  #write(identity: z.infer<typeof identitySchema>): void {
    replaceFile(this.#path, `${JSON.stringify(identity, undefined, 2)}\n`);
    this.#identity = identity;
  }
}

function read(path: string, log: Logger): z.infer<typeof identitySchema> | undefined {
  try {
    return identitySchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    log.warn({ file: path, reason: errorMessage(error) }, 'this node takes a new identity: the file that holds it is broken');
    return undefined;
  }
}
