/**
 * Judges the head of a response: does exactly the wanted range of the pinned content follow?
 *
 * Invariant: `judge` says `body` only for 206, identity encoding, the exact range, the pinned size
 * and the pinned validators. An error page, a whole file, another range or another version never
 * pass.
 */
import { changedError } from '../change.js';
import { OriginError } from '../origin.js';
import { changeOf, type HttpHeaders, type HttpPin, headerValue } from './validator.js';

export interface WantedRange {
  offset: number;
  lengthBytes: number;
  /** `undefined` while the content is about to be pinned: any size and version will do. */
  pin: HttpPin | undefined;
  /** @returns range and URL, for error texts */
  what(): string;
}

export type Verdict = { kind: 'body'; sizeBytes: number } | { kind: 'redirect'; location: string } | { kind: 'error'; error: OriginError };

export function judge(status: number, headers: HttpHeaders, wanted: WantedRange): Verdict {
  if (status === 206) return judgePartial(headers, wanted);
  if (status === 200) return { kind: 'error', error: wholeContent(headers, wanted) };
  const location = headerValue(headers, 'location');
  if (location !== undefined && (status === 301 || status === 302 || status === 303 || status === 307 || status === 308)) {
    return { kind: 'redirect', location };
  }
  return { kind: 'error', error: refusal(status, headers, wanted) };
}

function judgePartial(headers: HttpHeaders, wanted: WantedRange): Verdict {
  const { offset, lengthBytes, pin } = wanted;
  const encoding = headerValue(headers, 'content-encoding');
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    return protocol(wanted, `the answer is encoded (${encoding}), so its bytes are not the image's: turn compression off for images`);
  }
  const text = headerValue(headers, 'content-range') ?? '';
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/i.exec(text.trim());
  if (match === null) return protocol(wanted, `206 without the range and size that are sent (Content-Range: ${JSON.stringify(text)})`);
  const [first, last, sizeBytes] = [Number(match[1]), Number(match[2]), Number(match[3])];
  if (!Number.isSafeInteger(sizeBytes)) return protocol(wanted, `the size ${match[3]} is beyond 2^53`);
  // A change is reported before a wrong range: the answer for a file that shrank has a range cut
  // short.
  const change =
    pin === undefined
      ? undefined
      : sizeBytes === pin.sizeBytes
        ? changeOf(pin, headers)
        : `its size was ${pin.sizeBytes} and is ${sizeBytes}`;
  if (change !== undefined) return { kind: 'error', error: changedError(wanted.what(), change) };
  if (first !== offset || last !== offset + lengthBytes - 1) return protocol(wanted, `another range was sent: ${text}`);
  const length = headerValue(headers, 'content-length');
  if (length !== undefined && Number(length) > lengthBytes) return protocol(wanted, `${length} bytes were announced for ${lengthBytes}`);
  return { kind: 'body', sizeBytes };
}

/**
 * 200 for a range: the server has no ranges, it is an error page, or (if validators say so) other
 * content.
 */
function wholeContent(headers: HttpHeaders, wanted: WantedRange): OriginError {
  const { pin } = wanted;
  const speaks = headers['etag'] !== undefined || headers['last-modified'] !== undefined;
  const change = pin !== undefined && speaks ? changeOf(pin, headers) : undefined;
  if (change !== undefined) return changedError(wanted.what(), change);
  return new OriginError(
    'ERR_ORIGIN_PROTOCOL',
    `${wanted.what()}: the server ignores Range (200 instead of 206), or this is a page and no image: serve the image from a server with range requests, or copy it to a file`,
  );
}

function refusal(status: number, headers: HttpHeaders, wanted: WantedRange): OriginError {
  const what = wanted.what();
  switch (status) {
    case 401:
      return new OriginError('ERR_ORIGIN_REFUSED', `${what}: 401, it wants a user: give credentials for this URL in the configuration`);
    case 403:
      return new OriginError('ERR_ORIGIN_REFUSED', `${what}: 403, access is forbidden: check credentials and permissions`);
    case 404:
    case 410:
      return new OriginError('ERR_ORIGIN_REFUSED', `${what}: ${status}, there is no such file: check the URL`);
    case 412:
      return changedError(wanted.what(), 'the server says that it is not the pinned version any more (412)');
    case 416:
      return outside(headers, wanted);
  }
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    const retryAfterMs = retryAfter(headerValue(headers, 'retry-after'));
    return new OriginError('ERR_ORIGIN_UNAVAILABLE', `${what}: the server answers ${status}`, { retryAfterMs });
  }
  return new OriginError('ERR_ORIGIN_REFUSED', `${what}: the server answers ${status}`);
}

function outside(headers: HttpHeaders, wanted: WantedRange): OriginError {
  const size = /^bytes \*\/(\d+)$/i.exec(headerValue(headers, 'content-range')?.trim() ?? '')?.[1];
  if (wanted.pin === undefined) {
    return new OriginError(
      'ERR_ORIGIN_REFUSED',
      `${wanted.what()}: 416, ${size === '0' ? 'the file is empty' : 'the server refuses the range'}`,
    );
  }
  if (size !== undefined && Number(size) !== wanted.pin.sizeBytes)
    return changedError(wanted.what(), `its size was ${wanted.pin.sizeBytes} and is ${size}`);
  return new OriginError('ERR_ORIGIN_PROTOCOL', `${wanted.what()}: 416, the server says that this range is outside of the file`);
}

function protocol(wanted: WantedRange, how: string): Verdict {
  return { kind: 'error', error: new OriginError('ERR_ORIGIN_PROTOCOL', `${wanted.what()}: ${how}`) };
}

const maxRetryAfterMs = 60_000;

/**
 * @returns the pause in ms from now, 0 to 60 000, that seconds or a date ask for (RFC 9110,
 * 10.2.3); `undefined` for anything else
 */
function retryAfter(value: string | undefined, nowEpochMs = Date.now()): number | undefined {
  if (value === undefined) return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - nowEpochMs;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), maxRetryAfterMs);
}
