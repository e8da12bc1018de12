/**
 * Shows URLs: the one place that takes secrets out of them.
 *
 * Invariants: the result holds no user, no password, no query but the socket of an NBD URI, and no
 * fragment (presigned URLs carry their signature in the query). Both functions never throw. Showing
 * a result again changes nothing.
 */

/**
 * A URL in a text ends at a space, a double quote or an angle bracket. Punctuation at its end
 * belongs to the text.
 */
const urlInText = /\b[a-z][a-z0-9+.-]*:[/\\]{1,2}[^\s"`<>]+?(?=[.,:;)\]']*(?:[\s"`<>]|$))/gi;
const userInUrl = /^([a-z][a-z0-9+.-]*:\/\/)[^/\\\s]*@/i;

/** @returns the URL without user, password, query and fragment; a path as it is */
export function displayUrl(url: string): string {
  const scheme = /^\s*([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase();
  if (scheme === undefined || scheme === 'file') return url;
  const bare = withoutQuery(url, scheme);
  if (!url.includes('@')) return bare;
  if (!bare.includes(':/') && !bare.includes(':\\')) return `${scheme}:…`;
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.username === '' && parsed.password === '') return bare;
  // Parsers accept several forms: backslashes, one slash, line breaks. A part that can't be cut
  // with certainty is not shown.
  return parsed !== undefined && userInUrl.test(bare) ? bare.replace(userInUrl, '$1') : `${scheme}://…`;
}

/** @returns the text, with each URL in it shown as `displayUrl` shows it */
export function redactUrls(text: string): string {
  return /:[/\\]/.test(text) ? text.replace(urlInText, displayUrl) : text;
}

/** True if the URL has a user, a password or a query that is not shown. */
export function hidesSecret(url: string): boolean {
  return displayUrl(url) !== withoutFragment(url);
}

function withoutFragment(url: string): string {
  return url.replace(/#.*$/s, '');
}

function withoutQuery(url: string, scheme: string): string {
  const bare = withoutFragment(url);
  const socket = scheme.endsWith('+unix') ? /[?&](socket=[^&]*)/.exec(bare)?.[1] : undefined;
  return bare.replace(/\?.*$/s, socket === undefined ? '?…' : `?${socket}`);
}
