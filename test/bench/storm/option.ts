/** The storm's command line. */
import { parseArgs } from 'node:util';
import { CopseError } from '../../../src/base/error.js';
import { type TraceName, traceNames } from '../harness/trace.js';

export interface StormOptions {
  /** Names of cases; empty: all. */
  only: string[];
  hostCounts: number[];
  rounds: number;
  traceName: TraceName;
  /** Where the JSON goes besides the cache directory. */
  jsonPath: string | undefined;
  /** True to write the tables into docs/performance/storm.md. */
  doc: boolean;
  list: boolean;
  help: boolean;
}

export const usage = `npm run bench:storm -- [--case NAME]… [--hosts N,N…] [--rounds N]

  --case NAME      run these cases alone (repeatable, or joined by commas)
  --hosts N,N…     hosts that start together (default 1,2,4,8,16)
  --rounds N       rounds of each case (default 3)
  --trace NAME     the boot that is replayed: ${traceNames.join(', ')} (default the first)
  --json FILE      write all samples there as well
  --doc            write the tables into docs/performance/storm.md
  --list           the cases' names

Needs root: it makes network namespaces, which are removed when it ends.
`;

/** @throws CopseError `ERR_OPTION` */
export function parseStormOptions(args: string[]): StormOptions {
  const values = parse(args);
  const rounds = whole(values.rounds, '--rounds', 100);
  const hostCounts = [...new Set(values.hosts.split(',').map((text) => whole(text, '--hosts', 64)))].sort((a, b) => a - b);
  const traceName = traceNames.find((name) => name === values.trace);
  if (traceName === undefined) throw new CopseError('ERR_OPTION', `--trace ${values.trace}: there are ${traceNames.join(', ')}`);
  const only = values.case.flatMap((names) => names.split(',')).filter((name) => name !== '');
  return { only, hostCounts, rounds, traceName, jsonPath: values.json, doc: values.doc, list: values.list, help: values.help };
}

function whole(text: string, option: string, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new CopseError('ERR_OPTION', `${option} ${text}: write whole numbers from 1 to ${most}`);
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        case: { type: 'string', multiple: true, default: [] },
        hosts: { type: 'string', default: '1,2,4,8,16' },
        rounds: { type: 'string', default: '3' },
        trace: { type: 'string', default: traceNames[0] },
        json: { type: 'string' },
        doc: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (cause) {
    throw new CopseError('ERR_OPTION', `${cause instanceof Error ? cause.message : cause}\n${usage}`, { cause });
  }
}
