/**
 * The metadata contexts of one handshake: lists them, and remembers which of them the client has
 * selected for which export.
 *
 * Source: doc/proto.md, "Metadata querying", LIST_META_CONTEXT and SET_META_CONTEXT.
 */
import { type ContextName, contextNames, Option, OptionReply } from '../codec/constant.js';
import { decodeMetaContextRequest, encodeMetaContext, encodeOptionReply, type MetaContextRequest } from '../codec/option.js';
import type { ExportLookup } from './export-lookup.js';
import type { HandshakeChannel } from './handshake-channel.js';
import { Refusal, type SelectedContexts } from './refusal.js';

export class MetaContexts {
  readonly #channel: HandshakeChannel;
  readonly #lookup: ExportLookup<unknown>;
  /** Last selection. SET_META_CONTEXT binds it to the name of an export. */
  #selected: { name: string; contexts: SelectedContexts } | undefined;

  constructor(channel: HandshakeChannel, lookup: ExportLookup<unknown>) {
    this.#channel = channel;
    this.#lookup = lookup;
  }

  /** Contexts that the client has selected for the export of that name. */
  selectedFor(name: string): SelectedContexts {
    return this.#selected?.name === name ? this.#selected.contexts : new Map();
  }

  /** Forgets the selection. A new SET_META_CONTEXT does so even when it fails. */
  clear(): void {
    this.#selected = undefined;
  }

  /**
   * Sends the contexts that match LIST_META_CONTEXT's queries.
   *
   * @throws Refusal
   */
  async list(data: Buffer): Promise<void> {
    const { queries } = await this.#request(data);
    // A query with an empty leaf name asks for the whole namespace; no query at all asks for
    // everything.
    const matches = (context: string): boolean => queries.some((query) => query === context || query === `${namespace(context)}:`);
    for (const context of contextNames) {
      if (queries.length > 0 && !matches(context)) continue;
      await this.#put(Option.LIST_META_CONTEXT, 0, context);
    }
  }

  /**
   * Selects and sends the contexts of SET_META_CONTEXT's queries.
   *
   * @throws Refusal
   */
  async set(data: Buffer): Promise<void> {
    const { name, queries } = await this.#request(data);
    const contexts = new Map<ContextName, number>();
    for (const [index, context] of contextNames.entries()) {
      if (!queries.includes(context)) continue;
      contexts.set(context, index + 1);
      await this.#put(Option.SET_META_CONTEXT, index + 1, context);
    }
    this.#selected = { name, contexts };
  }

  /** Decodes a request about an export that exists. */
  async #request(data: Buffer): Promise<MetaContextRequest> {
    const request = decodeMetaContextRequest(data);
    await this.#lookup.lookAt(request.name, data);
    for (const query of request.queries) refuseWithoutNamespace(query);
    return request;
  }

  async #put(option: number, contextId: number, name: ContextName): Promise<void> {
    await this.#channel.put(encodeOptionReply(option, OptionReply.META_CONTEXT, encodeMetaContext({ contextId, name })));
  }
}

function namespace(context: string): string {
  return context.slice(0, context.indexOf(':'));
}

function refuseWithoutNamespace(query: string): void {
  if (query.indexOf(':') < 1) throw new Refusal(OptionReply.ERR_INVALID, `query "${query}" names no namespace: write NAMESPACE:NAME`);
}
