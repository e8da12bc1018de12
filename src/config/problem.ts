/** Problems of a configuration, each with its place and its remedy. */
import type { z } from 'zod';
import { CopseError } from '../base/error.js';
import { fileSchema } from './file-schema.js';
import { nearest } from './nearest.js';
import { findKeyLine, type KeyPath } from './toml-line.js';

export interface ConfigProblem {
  /** The file, or `command line`. */
  file: string;
  /**
   * The key, as in `image[2].chunk_size`, with lists counted from 1; empty if the text is not TOML.
   */
  key: string;
  /** Line from 1; absent on the command line, and if the file has no part of the key. */
  line?: number | undefined;
  /** The problem, and the remedy. */
  message: string;
}

/**
 * The configuration can't be used. Code `ERR_CONFIG`. The message lists all problems, one a line.
 */
export class ConfigError extends CopseError {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[], options?: { cause?: unknown }) {
    super('ERR_CONFIG', problems.map(formatProblem).join('\n'), options);
    this.problems = problems;
  }
}

function formatProblem({ file, key, line, message }: ConfigProblem): string {
  const place = line === undefined ? file : `${file}:${line}`;
  return key === '' ? `${place}: ${message}` : `${place}: ${key}: ${message}`;
}

export function formatKey(path: KeyPath): string {
  return path.reduce<string>((key, part) => {
    if (typeof part === 'number') return `${key}[${part + 1}]`;
    return key === '' ? String(part) : `${key}.${String(part)}`;
  }, '');
}

/** Flags of keys whose name differs from the key's. */
const flagNames: Record<string, string> = {
  'cache.size': '--cache-size',
  'cache.min_free': '--min-free',
  'node.id': '--node',
  'node.address': '--address',
  'cluster.name': '--cluster',
  'cluster.members': '--peer',
  'etcd.url': '--etcd',
  admin_socket: '--no-admin-socket',
};

function keyName(source: ConfigSource, path: KeyPath): string {
  if (source.toml !== undefined) return formatKey(path);
  const key = formatKey(path.filter((part) => typeof part === 'string').slice(0, path[0] === 'image' ? 1 : undefined));
  return flagNames[key] ?? `--${key.replaceAll('_', '-')}`;
}

/** Source of a configuration: a file or the command line. */
export interface ConfigSource {
  /** Name for people: the file's path, or `command line`. */
  name: string;
  /** The file's text, for line numbers; absent on the command line, whose keys are flags. */
  toml?: string | undefined;
}

/** A problem of the key at `path` of `source`. */
export function problemAt(source: ConfigSource, path: KeyPath, message: string): ConfigProblem {
  const line = source.toml === undefined ? undefined : findKeyLine(source.toml, path);
  return { file: source.name, key: keyName(source, path), line, message };
}

/** Keys that the schema knows at `path`, without the list items in between. */
function knownKeys(path: KeyPath): string[] {
  let at: unknown = shapeOf(fileSchema);
  for (const part of path) {
    if (typeof part === 'number') continue;
    at = shapeOf((at as Record<string, unknown> | undefined)?.[String(part)]);
  }
  return Object.keys((at as object | undefined) ?? {});
}

/** The shape of an object schema, also inside optionals and arrays. */
function shapeOf(schema: unknown): unknown {
  for (let at = schema as { shape?: object; def?: { innerType?: unknown; element?: unknown } } | undefined; at !== undefined; ) {
    if (at.shape !== undefined) return at.shape;
    at = (at.def?.innerType ?? at.def?.element) as typeof at;
  }
  return undefined;
}

/** Remedies for values of the wrong type, if the schema has no text of its own. */
const describedTypes: Record<string, string> = {
  array: 'a list in brackets, as in ["…"], or written as [[…]] where its entries are tables',
  boolean: 'true or false, without quotes',
  int: 'a whole number, without quotes',
  number: 'a number, without quotes',
  object: 'a table, as in [cache]',
  record: 'a table, as in { "NAME" = "VALUE" }',
  string: 'a string in quotes',
};

/** Turns the issues of zod into problems that name the remedy. */
export function problemsOf(source: ConfigSource, issues: readonly z.core.$ZodIssue[]): ConfigProblem[] {
  const problems = issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(source, issue.path, key));
    if (issue.code === 'invalid_value') {
      return [problemAt(source, issue.path, `must be one of ${issue.values.map(String).join(', ')}`)];
    }
    const isKey = typeof issue.path.at(-1) === 'string';
    if (issue.input === undefined && isKey && (issue.code === 'invalid_type' || issue.code === 'invalid_union')) {
      return [problemAt(source, issue.path, `is missing: each ${formatKey(issue.path.slice(0, 1))} needs it`)];
    }
    if (issue.code === 'invalid_union' && issue.message.startsWith('Invalid input'))
      return [problemAt(source, issue.path, 'must be a string such as "100G", or a whole number of bytes')];
    if (issue.code === 'invalid_type' && issue.message.startsWith('Invalid input')) {
      return [problemAt(source, issue.path, `must be ${describedTypes[issue.expected] ?? `of type ${issue.expected}`}`)];
    }
    return [problemAt(source, issue.path, issue.message)];
  });
  return problems.sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
}

function unknownKey(source: ConfigSource, path: KeyPath, key: string): ConfigProblem {
  const known = knownKeys(path);
  const meant = nearest(key, known);
  const where = path.length === 0 ? 'here' : `in ${formatKey(path)}`;
  const remedy = meant === undefined ? `known ${where} are ${known.join(', ')}` : `did you mean ${meant}?`;
  return problemAt(source, [...path, key], `there is no such key: ${remedy}`);
}
