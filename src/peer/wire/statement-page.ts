/**
 * Codec of the export `node`, on which a node tells its peers who it is, what it shares and which
 * disks it owns (its statement). The export has a fixed size: a header, the statement, and spaces.
 *
 *   0      the header: {"copse":"node","format":1,"protocol":{…},"id":…,"version":…,
 *          "generation":7,"lengthBytes":1234,"usedBytes":…}, spaces, newline
 *   4096   the statement: `lengthBytes` of JSON, spaces, newline
 *
 * A ping reads the header alone. It reads the statement at its first time, and when the generation
 * has changed. `usedBytes` changes all the time and does not begin a generation, so the header has
 * it, and the statement has 0.
 *
 * Invariants: one generation has one text of the statement. The statement always fits; entries
 * without room are left out. The decoders accept any bytes, and throw nothing but
 * IncompatibleError.
 *
 * Source: docs/reference/peer-protocol.md, "The export node".
 */
import { z } from 'zod';
import { KiB, MiB } from '../../base/size.js';
import { IncompatibleError } from '../../cluster/incompatible-error.js';
import { type NodeStatement, nodeRecordSchema, nodeStatementSchema, protocolMismatch } from '../../cluster/node.js';

/** Size of the export, in bytes; room for about 9000 contents. */
export const statementPageBytes = 1 * MiB;
/** Size of the header, in bytes. */
export const statementHeaderBytes = 4 * KiB;

const space = 0x20;
const newline = 0x0a;

const { id, version, protocol } = nodeRecordSchema.shape;

/** Fields that the header of every version has. */
const greetingSchema = z.object({ copse: z.literal('node'), protocol, id, version });

const headerSchema = greetingSchema.extend({
  format: z.literal(1),
  generation: z.int().positive(),
  lengthBytes: z
    .int()
    .positive()
    .max(statementPageBytes - statementHeaderBytes),
  usedBytes: z.number().nonnegative(),
});

export type StatementHeader = z.infer<typeof headerSchema>;

/** Bytes of the export at one moment. Immutable; pages of one generation share their bytes. */
export class StatementPage {
  readonly #header: Buffer;
  readonly #body: Buffer;

  constructor(header: StatementHeader, body: Buffer) {
    this.#header = Buffer.from(JSON.stringify(header));
    this.#body = body;
  }

  /** Copies a range of the export, which lies inside `statementPageBytes`. */
  copy(target: Buffer, targetStart: number, lengthBytes: number, offset: number): void {
    target.fill(space, targetStart, targetStart + lengthBytes);
    for (const [start, bytes] of [
      [0, this.#header],
      [statementHeaderBytes - 1, newlineBytes],
      [statementHeaderBytes, this.#body],
      [statementPageBytes - 1, newlineBytes],
    ] as const) {
      const from = Math.max(start, offset);
      const to = Math.min(start + bytes.length, offset + lengthBytes);
      if (to > from) bytes.copy(target, targetStart + from - offset, from - start, to - start);
    }
  }
}

const newlineBytes = Buffer.of(newline);

/** Makes the page of the present statement, and numbers the generations. */
export class StatementCache {
  #generation = 0;
  #statement: NodeStatement | undefined;
  #json = '';
  #body = Buffer.alloc(0);

  page(statement: NodeStatement): StatementPage {
    if (statement !== this.#statement) this.#renew(statement);
    const { id, version, protocol, usedBytes } = statement;
    const generation = this.#generation;
    return new StatementPage(
      { copse: 'node', format: 1, protocol, id, version, generation, lengthBytes: this.#body.length, usedBytes },
      this.#body,
    );
  }

  #renew(statement: NodeStatement): void {
    this.#statement = statement;
    const json = JSON.stringify({ ...statement, usedBytes: 0 });
    if (json === this.#json) return;
    this.#json = json;
    this.#generation += 1;
    this.#body = Buffer.from(json);
    // A node with a cut statement is better than one that its peers can't read. Contents are cut
    // first. Disks are cut last; a peer asks by calls about a disk that is missing.
    let { contents, attached, disks } = statement;
    while (this.#body.length > statementPageBytes - statementHeaderBytes - 1) {
      if (contents.length > 0) contents = shorter(contents);
      else if (attached.length > 0) attached = shorter(attached);
      else disks = shorter(disks);
      this.#body = Buffer.from(JSON.stringify({ ...statement, usedBytes: 0, contents, attached, disks }));
    }
  }
}

function shorter<T>(items: T[]): T[] {
  return items.slice(0, Math.floor(items.length * 0.9));
}

/** @throws IncompatibleError */
export function decodeStatementHeader(bytes: Buffer): StatementHeader {
  const value = parse(bytes, 'header');
  const greeting = greetingSchema.safeParse(value);
  if (!greeting.success) throw new IncompatibleError('an NBD server answers, but not as a Copse node: check the port of the address');
  const { data: who } = greeting;
  const mismatch = protocolMismatch(who.protocol);
  if (mismatch !== undefined) throw new IncompatibleError(mismatch, who);
  const header = headerSchema.safeParse(value);
  if (!header.success) throw new IncompatibleError('the header of its statement is not in the expected form', who, { cause: header.error });
  return header.data;
}

/** @param body `header.lengthBytes` bytes. @throws IncompatibleError */
export function decodeStatement(header: StatementHeader, body: Buffer): NodeStatement {
  const statement = nodeStatementSchema.safeParse(parse(body, 'statement'));
  if (!statement.success) throw new IncompatibleError('its statement is not in the expected form', header, { cause: statement.error });
  const mismatch = protocolMismatch(statement.data.protocol);
  if (mismatch !== undefined) throw new IncompatibleError(mismatch, header);
  return { ...statement.data, usedBytes: header.usedBytes };
}

function parse(bytes: Buffer, what: string): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch (error) {
    throw new IncompatibleError(`its ${what} is not JSON: check the port of the address`, {}, { cause: error });
  }
}
