/** The command line of the migrations. */
import { parseArgs } from 'node:util';
import { CopseError } from '../../../src/base/error.js';

export const wayNames = ['shared', 'copse', 'mirror'] as const;

export interface MigrationOptions {
  ways: (typeof wayNames)[number][];
  rounds: number;
  /** What is written to the disk before it is moved. */
  overlayMiB: number;
  bitsPerSecond: number;
  /** Where the JSON goes besides the cache directory. */
  jsonPath: string | undefined;
  /** True to write the tables into docs/performance.md. */
  doc: boolean;
  help: boolean;
}

export const usage = `npm run bench:migration -- [--way NAME]… [--rounds N]

  --way NAME       these alone (repeatable): ${wayNames.join(', ')} (default all, in turns)
  --rounds N       default 3
  --overlay MIB    written to the disk before it is moved (default 2048)
  --link MBIT/S    of each host (default 1000)
  --json FILE      write all samples there as well
  --doc            write the tables into docs/performance.md

Needs root: it makes network namespaces, which are removed when it ends.
`;

/** @throws CopseError `ERR_OPTION` */
export function parseMigrationOptions(args: string[]): MigrationOptions {
  const values = parse(args);
  const ways = values.way.map((name) => {
    const found = wayNames.find((each) => each === name);
    if (found === undefined) throw new CopseError('ERR_OPTION', `--way ${name}: there are ${wayNames.join(', ')}`);
    return found;
  });
  return {
    ways: ways.length === 0 ? [...wayNames] : ways,
    rounds: whole(values.rounds, '--rounds', 100),
    overlayMiB: whole(values.overlay, '--overlay', 4096),
    bitsPerSecond: whole(values.link, '--link', 100_000) * 1e6,
    jsonPath: values.json,
    doc: values.doc,
    help: values.help,
  };
}

function whole(text: string, option: string, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new CopseError('ERR_OPTION', `${option} ${text}: write a whole number from 1 to ${most}`);
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        way: { type: 'string', multiple: true, default: [] },
        rounds: { type: 'string', default: '3' },
        overlay: { type: 'string', default: '2048' },
        link: { type: 'string', default: '1000' },
        json: { type: 'string' },
        doc: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (cause) {
    throw new CopseError('ERR_OPTION', `${cause instanceof Error ? cause.message : cause}\n${usage}`, { cause });
  }
}
