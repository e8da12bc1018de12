/**
 * Finds the export that an option names, and turns every failure into a refusal of the option.
 *
 * Invariant: an export that was opened only to look at it is released at once.
 */
import { errorMessage } from '../../base/error.js';
import { OPTION_BYTES, OptionReply } from '../codec/constant.js';
import type { HandshakeBudget } from './budget.js';
import type { ExportFacts, HandshakeDirectory, HandshakeExport } from './contract.js';
import { Refusal } from './refusal.js';

export class ExportLookup<E> {
  readonly #directory: HandshakeDirectory<E>;
  readonly #budget: HandshakeBudget;

  constructor(directory: HandshakeDirectory<E>, budget: HandshakeBudget) {
    this.#directory = directory;
    this.#budget = budget;
  }

  /** Number of exports, as far as the directory tells. */
  get count(): number {
    return this.#directory.exportCount?.() ?? 0;
  }

  /**
   * Opens an export; the caller releases it.
   *
   * @throws Refusal
   */
  open(name: string): Promise<HandshakeExport<E>> {
    return this.#find(name, this.#directory.open(name));
  }

  /**
   * Describes an export to a client that only asks, and gives it the cost of the option back.
   *
   * @param data the option's data
   * @throws Refusal
   */
  async lookAt(name: string, data: Buffer): Promise<ExportFacts> {
    const facts = await this.#find(name, this.#factsOf(name));
    this.#budget.return(OPTION_BYTES + data.length, () => this.count);
    return facts;
  }

  async #factsOf(name: string): Promise<ExportFacts | undefined> {
    const directory = this.#directory;
    if (directory.describe !== undefined) return directory.describe(name);
    const opened = await directory.open(name);
    opened?.release();
    return opened;
  }

  async #find<T>(name: string, opening: Promise<T | undefined>): Promise<T> {
    let opened: T | undefined;
    try {
      opened = await opening;
    } catch (error) {
      throw new Refusal(OptionReply.ERR_UNKNOWN, `export "${name}" can't be opened: ${errorMessage(error)}`);
    }
    if (opened !== undefined) return opened;
    throw new Refusal(OptionReply.ERR_UNKNOWN, name === '' ? 'there is no default export: give a name' : `there is no export "${name}"`);
  }
}
