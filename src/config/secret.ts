/** Secrets in files of their own, which are read once, with the configuration. */
import { readFile } from 'node:fs/promises';
import { errorMessage } from '../base/error.js';
import { Secret } from '../base/secret.js';
import type { OriginCredential } from '../origin/origin.js';
import type { FileConfig } from './file-schema.js';
import { ConfigError, problemAt } from './problem.js';
import type { ConfigPart } from './read.js';
import type { KeyPath } from './toml-line.js';

/** @throws ConfigError if a file can't be read or is empty */
export async function readCredentials({ source, config }: ConfigPart): Promise<OriginCredential[]> {
  return Promise.all(
    (config.credential ?? []).map((credential, index) => readCredential(credential, secretReader(source, ['credential', index]))),
  );
}

/** @throws ConfigError if the file can't be read or is empty */
export async function readEtcdPassword({ source, config }: ConfigPart): Promise<Secret | undefined> {
  return config.etcd?.password ?? (await secretReader(source, ['etcd'])('password_file', config.etcd?.password_file));
}

type SecretReader = (key: string, file: string | undefined) => Promise<Secret | undefined>;

async function readCredential(written: NonNullable<FileConfig['credential']>[number], secret: SecretReader): Promise<OriginCredential> {
  const password = written.password ?? (await secret('password_file', written.password_file));
  const bearer = written.bearer ?? (await secret('bearer_file', written.bearer_file));
  const { url_prefix: urlPrefix, user, ca_file: caFile } = written;
  return { urlPrefix, basic: user !== undefined && password !== undefined ? { user, password } : undefined, bearer, caFile };
}

function secretReader(source: ConfigPart['source'], table: KeyPath): SecretReader {
  return async (key, file) => {
    if (file === undefined) return undefined;
    try {
      const secret = (await readFile(file, 'utf8')).split(/\r?\n/)[0] ?? '';
      if (secret === '') throw new Error('its first line is empty: write the secret there');
      return new Secret(secret);
    } catch (error) {
      throw new ConfigError([problemAt(source, [...table, key], `${file}: ${errorMessage(error)}`)], { cause: error });
    }
  };
}
