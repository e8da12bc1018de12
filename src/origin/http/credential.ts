/**
 * Chooses the secret and the certificate authorities for a URL.
 *
 * Invariant: a secret is only ever sent to the scheme, host and port that it was given for.
 */
import type { OriginCredential } from '../origin.js';

/**
 * @returns the credential with the longest prefix of the URL. Scheme, host and port must be equal,
 * and the path must begin with the prefix's
 */
export function credentialFor(url: URL, credentials: readonly OriginCredential[]): OriginCredential | undefined {
  let best: OriginCredential | undefined;
  for (const credential of credentials) {
    if (covers(credential.urlPrefix, url) && credential.urlPrefix.length > (best?.urlPrefix.length ?? -1)) best = credential;
  }
  return best;
}

/**
 * Compares as URLs: `https://host` must not match `https://host.example.org` or
 * `https://host@elsewhere`.
 */
function covers(urlPrefix: string, url: URL): boolean {
  if (!URL.canParse(urlPrefix)) return false;
  const prefix = new URL(urlPrefix);
  return prefix.origin === url.origin && url.pathname.startsWith(prefix.pathname);
}

/**
 * Makes the Authorization header. A password in the URL itself (`user:password@`) wins over the
 * configuration.
 */
export function authorizationFor(url: URL, credential: OriginCredential | undefined): string | undefined {
  if (url.username !== '' || url.password !== '') return basic(decoded(url.username), decoded(url.password));
  if (credential?.basic !== undefined) return basic(credential.basic.user, credential.basic.password.reveal());
  if (credential?.bearer !== undefined) return `Bearer ${credential.bearer.reveal()}`;
  return undefined;
}

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`, 'utf8').toString('base64')}`;
}

/** A stray `%` in a password is taken as it stands. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
