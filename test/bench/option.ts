/** The bench's command line. */
import { parseArgs } from 'node:util';
import { CopseError } from '../../src/base/error.js';
import { originLatenciesMs } from './context.js';
import { type TraceName, traceNames } from './harness/trace.js';

export interface BenchOptions {
  /** Names of cases; empty: all but those that run on request only. */
  only: string[];
  pairs: number;
  quick: boolean;
  /** Boots to replay; undefined: the case's own choice. */
  traces: TraceName[] | undefined;
  /** Origin latencies of replays. */
  latenciesMs: number[];
  /** Where the JSON goes besides the cache directory. */
  jsonPath: string | undefined;
  /** True to write the tables into their pages in docs. */
  doc: boolean;
  list: boolean;
  help: boolean;
}

export const usage = `npm run bench -- [NAME…] [--case NAME]… [--pairs N] [--quick] [--json FILE] [--list]

  NAME, --case NAME   run these cases alone (names may be joined by commas; "disk" stands for all disk-… ones, "fast" for all fast-… ones); also --only
  --pairs N           rounds of each comparison (default 5, with --quick 2)
  --quick             shorter runs: shows that all works, its figures say little
  --trace NAME        replay this boot alone (repeatable): debian-fast-boot, debian-systemd-boot, debian-fast-boot-workload
  --latency MS        replay against an origin of this latency alone (repeatable): 1, 10, 50
  --json FILE         write the results there as well
  --doc               write the tables into docs (one only when all its cases ran)
  --list              the cases' names
`;

/** @throws CopseError `ERR_OPTION` */
export function parseOptions(args: string[]): BenchOptions {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(args);
  } catch (cause) {
    throw new CopseError('ERR_OPTION', `${cause instanceof Error ? cause.message : cause}\n${usage}`, { cause });
  }
  const { values, positionals } = parsed;
  const pairs = Number(values.pairs ?? (values.quick ? 2 : 5));
  if (!Number.isInteger(pairs) || pairs < 1) throw new CopseError('ERR_OPTION', `--pairs ${values.pairs}: write a whole number from 1`);
  const only = [...positionals, ...values.only, ...values.case].flatMap((names) => names.split(',')).filter((name) => name !== '');
  const traces = values.trace?.map((name) => oneOf(traceNames, name, '--trace'));
  const latenciesMs = values.latency?.map((ms) => oneOf(originLatenciesMs, Number(ms), '--latency')) ?? [...originLatenciesMs];
  return {
    only,
    pairs,
    quick: values.quick,
    traces,
    latenciesMs,
    jsonPath: values.json,
    doc: values.doc,
    list: values.list,
    help: values.help,
  };
}

function oneOf<T>(known: readonly T[], given: unknown, option: string): T {
  const found = known.find((each) => each === given);
  if (found === undefined) throw new CopseError('ERR_OPTION', `${option} ${given}: there are ${known.join(', ')}`);
  return found;
}

function parse(args: string[]) {
  return parseArgs({
    args,
    allowPositionals: true,
    options: {
      only: { type: 'string', multiple: true, default: [] },
      case: { type: 'string', multiple: true, default: [] },
      pairs: { type: 'string' },
      quick: { type: 'boolean', default: false },
      trace: { type: 'string', multiple: true },
      latency: { type: 'string', multiple: true },
      json: { type: 'string' },
      doc: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
}
