/**
 * The last known other nodes, in a file of the state directory. A node that starts while etcd is
 * away finds its neighbours by it.
 *
 * Old records do no harm, because pings tell which nodes are well. So a missing or broken file is
 * an empty view, and a file that can't be written is a line in the log.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { errorCode, errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import { replaceFile } from '../../base/replace-file.js';
import { type NodeRecord, nodeRecordSchema } from '../node.js';

const viewSchema = z.object({ version: z.literal(1), nodes: z.array(nodeRecordSchema) });

export function readNodeView(path: string, log: Logger): NodeRecord[] {
  try {
    return viewSchema.parse(JSON.parse(readFileSync(path, 'utf8'))).nodes;
  } catch (error) {
    if (errorCode(error) !== 'ENOENT')
      log.warn({ file: path, reason: errorMessage(error) }, 'the last known neighbours are forgotten: their file is broken');
    return [];
  }
}

export function writeNodeView(path: string, nodes: readonly NodeRecord[], log: Logger): void {
  try {
    replaceFile(path, `${JSON.stringify({ version: 1, nodes })}\n`);
  } catch (error) {
    log.warn({ file: path, reason: errorMessage(error) }, 'the neighbours are not remembered for a start without etcd');
  }
}
