/**
 * Handling and naming of etcd's failures.
 *
 * etcd3's own defaults are not used: its breaker keeps a lone endpoint out for 5 s after three
 * failures, long enough to lose a lease.
 */
import { ConsecutiveBreaker, ConstantBackoff, circuitBreaker, handleWhen, noop, retry } from 'cockatiel';
import { type IOptions, isRecoverableError } from 'etcd3';
import { CopseError, errorMessage } from '../error.js';

const recoverable = handleWhen(isRecoverableError);

/**
 * A lone endpoint is always tried. Of several, a failed one is passed over for 2 s, and a call goes
 * to the next one at once.
 */
export function faultHandling(endpointCount: number): NonNullable<IOptions['faultHandling']> {
  if (endpointCount === 1) return { host: () => noop, global: noop };
  return {
    host: () => circuitBreaker(recoverable, { halfOpenAfter: 2000, breaker: new ConsecutiveBreaker(1) }),
    global: retry(recoverable, { maxAttempts: endpointCount - 1, backoff: new ConstantBackoff(20) }),
  };
}

/**
 * - `ERR_ETCD_UNAVAILABLE`: no endpoint answers, or none that is part of a quorum. A write may have
 *   happened all the same.
 * - `ERR_ETCD_REFUSED`: etcd answers and refuses: credentials, permissions, a full database.
 */
export type EtcdErrorCode = 'ERR_ETCD_UNAVAILABLE' | 'ERR_ETCD_REFUSED';

export class EtcdError extends CopseError {
  declare readonly code: EtcdErrorCode;
}

/** @param what name of the attempt, for example `read of /copse/nodes/` */
export function etcdError(what: string, urls: readonly string[], cause: unknown): EtcdError {
  if (cause instanceof EtcdError) return cause;
  const endpoints = urls.join(', ');
  const name = cause instanceof Error ? cause.constructor.name : '';
  const reason = errorMessage(cause);
  if (/Permission|Auth|FailedPrecondition|InvalidArgument|NotImplemented|ResourceExhasted/.test(name)) {
    return new EtcdError(
      'ERR_ETCD_REFUSED',
      `etcd at ${endpoints}: ${what} was refused: ${reason}: check [etcd] url, user, password and prefix`,
      {
        cause,
      },
    );
  }
  return new EtcdError(
    'ERR_ETCD_UNAVAILABLE',
    `etcd at ${endpoints} can't be used: ${what} failed: ${reason}: check that it runs, has a quorum and is reached from here`,
    { cause },
  );
}
