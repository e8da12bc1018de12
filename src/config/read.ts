/** Reads one piece of configuration, a file or flags, into checked values with absolute paths. */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import { errorMessage } from '../base/error.js';
import { absoluteAddress, type SocketAddress } from './address.js';
import { type FileConfig, type FileInput, fileSchema } from './file-schema.js';
import { ConfigError, type ConfigProblem, type ConfigSource, problemAt, problemsOf } from './problem.js';
import type { KeyPath } from './toml-line.js';
import { absoluteUrl, checkOriginUrl } from './url.js';
import { missingOfManifest } from './value.js';

/** A configuration with its source. Its paths and addresses are absolute. */
export interface ConfigPart {
  source: ConfigSource;
  config: FileConfig;
}

/** Relative paths in the file are relative to the file's directory. @throws ConfigError */
export async function readConfigFile(path: string): Promise<ConfigPart> {
  const name = resolve(path);
  let toml: string;
  try {
    toml = await readFile(name, 'utf8');
  } catch (error) {
    throw new ConfigError([{ file: name, key: '', message: `can't be read: ${errorMessage(error)}` }], { cause: error });
  }
  const source = { name: path, toml };
  return { source, config: checkConfig(source, parseToml(source, toml), dirname(name)) };
}

function parseToml(source: ConfigSource, toml: string): unknown {
  try {
    return parse(toml);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const reason = error.message.split('\n')[0]?.replace(/^Invalid TOML document: /, '');
    throw new ConfigError(
      [{ file: source.name, key: '', line: error.line, message: `this is not TOML (column ${error.column}): ${reason}` }],
      { cause: error },
    );
  }
}

/** Relative paths in flags are relative to the working directory. @throws ConfigError */
export function readConfigFlags(flags: FileInput): ConfigPart {
  const source = { name: 'command line' };
  return { source, config: checkConfig(source, flags, process.cwd()) };
}

function checkConfig(source: ConfigSource, input: unknown, baseDir: string): FileConfig {
  const result = fileSchema.safeParse(input, { reportInput: true });
  if (!result.success) throw new ConfigError(problemsOf(source, result.error.issues));
  const config = result.data;
  const problems: ConfigProblem[] = [];
  checkUniqueNames(source, config, problems);
  checkCredentials(source, config, problems);
  checkEtcd(source, config, problems);
  checkManifests(source, config, problems);
  const checked = <T>(path: KeyPath, value: T, check: () => T): T => {
    try {
      return check();
    } catch (error) {
      problems.push(problemAt(source, path, errorMessage(error)));
      return value;
    }
  };
  const address = (path: KeyPath, value: SocketAddress) => checked(path, value, () => absoluteAddress(value, baseDir));
  const origin = (path: KeyPath, url: string) => checked(path, url, () => checkOriginUrl(absoluteUrl(url, baseDir)));
  const file = (path: string | undefined): string | undefined => (path === undefined ? undefined : resolve(baseDir, path));
  const absolute: FileConfig = {
    ...config,
    state: file(config.state),
    listen: config.listen?.map((value, index) => address(['listen', index], value)),
    admin: config.admin?.map((value, index) => address(['admin', index], value)),
    admin_token_file: file(config.admin_token_file),
    node: config.node && {
      ...config.node,
      ...(config.node.listen === undefined ? {} : { listen: address(['node', 'listen'], config.node.listen) }),
    },
    etcd: config.etcd && { ...config.etcd, password_file: file(config.etcd.password_file), ca_file: file(config.etcd.ca_file) },
    image: config.image?.map((image, index) => ({
      ...image,
      url: origin(['image', index, 'url'], image.url),
      ...(image.manifest === undefined ? {} : { manifest: origin(['image', index, 'manifest'], image.manifest) }),
    })),
    credential: config.credential?.map((credential) => ({
      ...credential,
      password_file: file(credential.password_file),
      bearer_file: file(credential.bearer_file),
      ca_file: file(credential.ca_file),
    })),
  };
  if (problems.length > 0) throw new ConfigError(problems);
  return absolute;
}

function checkUniqueNames(source: ConfigSource, config: FileConfig, problems: ConfigProblem[]): void {
  const seen = new Set<string>();
  for (const [index, { name }] of (config.image ?? []).entries()) {
    if (seen.has(name))
      problems.push(problemAt(source, ['image', index, 'name'], `"${name}" is the name of an image above: choose another`));
    seen.add(name);
  }
}

function checkCredentials(source: ConfigSource, config: FileConfig, problems: ConfigProblem[]): void {
  for (const [index, credential] of (config.credential ?? []).entries()) {
    const wrong = (key: string, message: string): void => void problems.push(problemAt(source, ['credential', index, key], message));
    const { user, password, password_file, bearer, bearer_file, ca_file } = credential;
    const hasPassword = password !== undefined || password_file !== undefined;
    const hasBearer = bearer !== undefined || bearer_file !== undefined;
    if (password !== undefined && password_file !== undefined) wrong('password_file', 'password is given too: keep one of them');
    if (bearer !== undefined && bearer_file !== undefined) wrong('bearer_file', 'bearer is given too: keep one of them');
    if (user !== undefined && !hasPassword) wrong('user', 'there is no password: add password or password_file');
    if (user === undefined && hasPassword) wrong(password === undefined ? 'password_file' : 'password', 'there is no user: add user');
    if (hasPassword && hasBearer) wrong(bearer === undefined ? 'bearer_file' : 'bearer', 'a password is given too: keep one of them');
    if (!hasPassword && !hasBearer && user === undefined && ca_file === undefined) {
      wrong('url_prefix', 'the entry has nothing for these URLs: add user and password, bearer or ca_file');
    }
  }
}

function checkEtcd(source: ConfigSource, { etcd }: FileConfig, problems: ConfigProblem[]): void {
  if (etcd === undefined) return;
  const wrong = (key: string, message: string): void => void problems.push(problemAt(source, ['etcd', key], message));
  const { url = [], user, password, password_file } = etcd;
  const hasPassword = password !== undefined || password_file !== undefined;
  if (password !== undefined && password_file !== undefined) wrong('password_file', 'password is given too: keep one of them');
  if (user !== undefined && !hasPassword) wrong('user', 'there is no password: add password or password_file');
  if (user === undefined && hasPassword) wrong(password === undefined ? 'password_file' : 'password', 'there is no user: add user');
  if (new Set(url.map((text) => text.split(':')[0])).size > 1)
    wrong('url', 'http:// and https:// are mixed: write all with https://, or none');
}

function checkManifests(source: ConfigSource, config: FileConfig, problems: ConfigProblem[]): void {
  for (const [index, image] of (config.image ?? []).entries()) {
    const missing = missingOfManifest(image);
    if (missing === undefined) continue;
    const [given, remedy] =
      missing === 'digest' ? ['manifest', 'digest = "blake3:…", which "copse image seal" prints'] : ['digest', 'manifest = "URL OR PATH"'];
    problems.push(problemAt(source, ['image', index, given], `${missing} is missing, and the two go together: add ${remedy}`));
  }
}
