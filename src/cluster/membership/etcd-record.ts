/**
 * The value in etcd under PREFIX/nodes/ID: a node's record, or, for a while, the word that the node
 * left on purpose.
 *
 * A record that vanishes without that word (its lease ran out, etcd was wiped, an operator deleted
 * it) says nothing of the node.
 */
import { z } from 'zod';
import { CopseError, errorMessage } from '../../base/error.js';
import { type NodeRecord, nodeRecordSchema } from '../node.js';

const leftSchema = z.object({ left: z.literal(true), token: z.string().max(64) });

export type EtcdNode = { kind: 'record'; record: NodeRecord } | { kind: 'left'; token: string };

/** @throws CopseError `ERR_NODE_RECORD` */
export function parseEtcdNode(id: string, value: string): EtcdNode {
  try {
    const json: unknown = JSON.parse(value);
    const left = leftSchema.safeParse(json);
    if (left.success) return { kind: 'left', token: left.data.token };
    const record = nodeRecordSchema.parse(json);
    if (record.id !== id) throw new Error(`it calls itself "${record.id}"`);
    return { kind: 'record', record };
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : errorMessage(error);
    throw new CopseError('ERR_NODE_RECORD', `the record of node "${id}" in etcd can't be read: ${reason}`, { cause: error });
  }
}

export function leftValue(token: string): string {
  return JSON.stringify({ left: true, token } satisfies z.infer<typeof leftSchema>);
}
