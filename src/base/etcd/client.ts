/**
 * The few operations on etcd that Copse needs, each with a deadline, over etcd3.
 *
 * Invariants: every call ends within `callTimeoutMs` times the count of endpoints, whatever etcd
 * does; revisions are safe integers; keys are text.
 *
 * Copse uses etcd3's calls, but not its watch streams and leases. It loads lost state anew instead
 * of resuming.
 */
import { readFileSync } from 'node:fs';
import { CompareResult, CompareTarget, Etcd3, type IKeyValue, Range, SortOrder, SortTarget } from 'etcd3';
import { displayUrl } from '../display-url.js';
import { CopseError, errorMessage } from '../error.js';
import type { Closeable } from '../lifecycle.js';
import type { Secret } from '../secret.js';
import { etcdError, faultHandling } from './fault.js';

export interface EtcdOptions {
  /** http://HOST:PORT or https://HOST:PORT, at least one, all of one scheme. */
  urls: readonly string[];
  user?: string | undefined;
  password?: Secret | undefined;
  /** PEM file; the system's authorities by default. */
  caFile?: string | undefined;
  /** Deadline of a call to one endpoint, in ms; 2 s by default. */
  callTimeoutMs?: number | undefined;
}

export interface EtcdEntry {
  key: string;
  value: string;
  modRevision: number;
  /** Lease of the key; `0` for none. */
  leaseId: string;
}

export interface EtcdSnapshot {
  /** Revision of the whole store at the read. */
  revision: number;
  entries: EtcdEntry[];
}

/** Summary that tells if a view of a prefix is up to date. */
export interface EtcdDigest {
  revision: number;
  count: number;
  newestModRevision: number;
}

export interface EtcdChange {
  key: string;
  revision: number;
  /** `undefined` if the key was deleted or its lease ran out. */
  entry: EtcdEntry | undefined;
}

export interface EtcdWatch {
  /** Ends the watch. No handler is called after it. */
  close(): void;
}

export interface EtcdWatchHandlers {
  onChanges(changes: EtcdChange[]): void;
  /** Called once, unless closed before: the stream is gone, compacted or refused. */
  onEnd(reason: string): void;
}

/** Longest message of gRPC, in bytes: some 50 000 images. */
const maxMessageBytes = 64 * 1024 * 1024;

export class EtcdClient implements Closeable {
  readonly urls: readonly string[];
  readonly #etcd: Etcd3;
  readonly #callTimeoutMs: number;

  /** Connects at the first use. @throws CopseError `ERR_OPTION` */
  constructor(options: EtcdOptions) {
    const { urls, user, password, caFile, callTimeoutMs = 2000 } = options;
    const hosts = checkedHosts(urls);
    this.urls = urls;
    this.#callTimeoutMs = callTimeoutMs;
    this.#etcd = new Etcd3({
      hosts,
      ...(user === undefined ? {} : { auth: { username: user, password: password?.reveal() ?? '' } }),
      ...(caFile === undefined ? {} : { credentials: { rootCertificate: readCa(caFile) } }),
      faultHandling: faultHandling(urls.length),
      defaultCallOptions: ({ isStream }) => (isStream ? {} : { deadline: Date.now() + callTimeoutMs }),
      grpcOptions: {
        // A silent peer is found by pings; etcd closes connections that ping more than once in 5 s.
        'grpc.keepalive_time_ms': 10_000,
        'grpc.keepalive_timeout_ms': 5000,
        'grpc.initial_reconnect_backoff_ms': 100,
        'grpc.min_reconnect_backoff_ms': 100,
        'grpc.max_reconnect_backoff_ms': 1000,
        'grpc.max_receive_message_length': maxMessageBytes,
        'grpc.enable_http_proxy': 0,
        // A pool of its own, so that clients do not share their view of an endpoint.
        'grpc.use_local_subchannel_pool': 1,
      },
    });
  }

  /** Reads all keys that begin with `prefix`, as a quorum sees them. @throws EtcdError */
  async range(prefix: string): Promise<EtcdSnapshot> {
    const range = Range.prefix(prefix);
    const response = await this.#call(`read of ${prefix}`, () => this.#etcd.kv.range({ key: range.start, range_end: range.end }));
    return { revision: Number(response.header.revision), entries: response.kvs.map(entryOf) };
  }

  /** @throws EtcdError */
  async digest(prefix: string): Promise<EtcdDigest> {
    const range = Range.prefix(prefix);
    const response = await this.#call(`read of ${prefix}`, () =>
      this.#etcd.kv.range({
        key: range.start,
        range_end: range.end,
        limit: 1,
        keys_only: true,
        sort_target: SortTarget.Mod,
        sort_order: SortOrder.Descend,
      }),
    );
    const newestModRevision = Number(response.kvs[0]?.mod_revision ?? 0);
    return { revision: Number(response.header.revision), count: Number(response.count), newestModRevision };
  }

  /** @throws EtcdError */
  async get(key: string): Promise<EtcdEntry | undefined> {
    const response = await this.#call(`read of ${key}`, () => this.#etcd.kv.range({ key: Buffer.from(key) }));
    const [found] = response.kvs;
    return found === undefined ? undefined : entryOf(found);
  }

  /**
   * Writes if the key is as it was at `modRevision`; 0 if it must not exist. Resolves to true if it
   * wrote.
   *
   * @throws EtcdError; with `ERR_ETCD_UNAVAILABLE` it is unknown whether it wrote
   */
  async putIf(key: string, modRevision: number, value: string, leaseId = '0'): Promise<boolean> {
    const put = { key: Buffer.from(key), value: Buffer.from(value), lease: leaseId };
    return this.#txnIf(`write of ${key}`, key, modRevision, { request_put: put });
  }

  /**
   * Puts if both keys are as they were at their revisions; 0 if one must not exist. Resolves to
   * true if it did. @throws EtcdError
   */
  async putIfBoth(key: string, modRevision: number, value: string, other: { key: string; modRevision: number }): Promise<boolean> {
    const put = { key: Buffer.from(key), value: Buffer.from(value) };
    return this.#txnIf(`write of ${key}`, key, modRevision, { request_put: put }, other);
  }

  /**
   * Deletes if the key is as it was at `modRevision`. Resolves to true if it did. @throws EtcdError
   */
  async deleteIf(key: string, modRevision: number): Promise<boolean> {
    return this.#txnIf(`removal of ${key}`, key, modRevision, { request_delete_range: { key: Buffer.from(key) } });
  }

  /** @returns the lease's id. @throws EtcdError */
  async grantLease(ttlSeconds: number): Promise<string> {
    const response = await this.#call('grant of a lease', () => this.#etcd.leaseClient.leaseGrant({ TTL: ttlSeconds }));
    return response.ID;
  }

  /** Resolves to `false` if the lease is gone. @throws EtcdError */
  async keepLeaseAlive(leaseId: string): Promise<boolean> {
    const response = await this.#call('renewal of a lease', async () => {
      // A stream for one message: the next renewal may need another endpoint.
      const stream = await this.#etcd.leaseClient.leaseKeepAlive({ deadline: Date.now() + this.#callTimeoutMs });
      try {
        return await new Promise<{ TTL: string }>((resolve, reject) => {
          stream.on('data', resolve);
          stream.on('error', reject);
          stream.on('end', () => reject(new Error('the stream ended without an answer')));
          stream.write({ ID: leaseId });
        });
      } finally {
        stream.end();
        stream.cancel();
      }
    });
    return Number(response.TTL) > 0;
  }

  /** Ends the lease, and with it its keys. @throws EtcdError */
  async revokeLease(leaseId: string): Promise<void> {
    await this.#call('revocation of a lease', () => this.#etcd.leaseClient.leaseRevoke({ ID: leaseId }));
  }

  /**
   * Reports changes of keys that begin with `prefix`, from `revision` on. When it ends, the caller
   * goes on from a new `range`.
   */
  watch(prefix: string, revision: number, handlers: EtcdWatchHandlers): EtcdWatch {
    let closed = false;
    let cancel: (() => void) | undefined;
    const end = (reason: string): void => {
      if (closed) return;
      closed = true;
      cancel?.();
      handlers.onEnd(reason);
    };
    const open = async (): Promise<void> => {
      const stream = await this.#etcd.watchClient.watch();
      cancel = () => {
        // Ended first: etcd3 takes a cancelled writable stream for the endpoint's failure.
        stream.end();
        stream.cancel();
      };
      stream.on('error', (error) => end(errorMessage(error)));
      stream.on('end', () => end('the stream ended'));
      stream.on('data', (response) => {
        if (closed) return;
        if (response.canceled) end(response.compact_revision === '0' ? response.cancel_reason : 'the revision was compacted');
        else if (response.created && Number(response.header.revision) < revision - 1) end('etcd has lost its history');
        else if (response.events.length > 0) handlers.onChanges(response.events.map(changeOf));
      });
      if (closed) {
        cancel();
        return;
      }
      const range = Range.prefix(prefix);
      stream.write({ create_request: { key: range.start, range_end: range.end, start_revision: revision } });
    };
    open().catch((error: unknown) => end(errorMessage(error)));
    return {
      close: () => {
        closed = true;
        cancel?.();
      },
    };
  }

  close(): void {
    this.#etcd.close();
  }

  async #txnIf(
    what: string,
    key: string,
    modRevision: number,
    operation: object,
    ...others: { key: string; modRevision: number }[]
  ): Promise<boolean> {
    const compare = [{ key, modRevision }, ...others].map((one) => ({
      key: Buffer.from(one.key),
      target: CompareTarget.Mod,
      result: CompareResult.Equal,
      mod_revision: one.modRevision,
    }));
    const response = await this.#call(what, () => this.#etcd.kv.txn({ compare, success: [operation] }));
    return response.succeeded;
  }

  async #call<T>(what: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw etcdError(what, this.urls, error);
    }
  }
}

function entryOf(kv: IKeyValue): EtcdEntry {
  return { key: kv.key.toString(), value: kv.value.toString(), modRevision: Number(kv.mod_revision), leaseId: kv.lease };
}

function changeOf({ type, kv }: { type: unknown; kv: IKeyValue }): EtcdChange {
  const deleted = String(type).toLowerCase() === 'delete';
  return { key: kv.key.toString(), revision: Number(kv.mod_revision), entry: deleted ? undefined : entryOf(kv) };
}

/** @returns hosts in the form that etcd3 wants: without a closing slash */
function checkedHosts(urls: readonly string[]): string[] {
  const parsed = urls.map((url) => {
    const parts = URL.canParse(url) ? new URL(url) : undefined;
    if (parts !== undefined && /^https?:$/.test(parts.protocol) && parts.port !== '' && parts.pathname === '/' && parts.username === '') {
      return parts;
    }
    throw new CopseError(
      'ERR_OPTION',
      `"${displayUrl(url)}" is no endpoint of etcd: write http://HOST:PORT or https://HOST:PORT, as in http://127.0.0.1:2379`,
    );
  });
  if (parsed.length === 0) throw new CopseError('ERR_OPTION', 'no endpoint of etcd is given: name at least one');
  if (new Set(parsed.map(({ protocol }) => protocol)).size > 1) {
    throw new CopseError('ERR_OPTION', 'some endpoints of etcd are http, others https: use one for all');
  }
  return parsed.map(({ protocol, host }) => `${protocol}//${host}`);
}

function readCa(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new CopseError('ERR_OPTION', `the authority's certificate for etcd can't be read: ${errorMessage(error)}`, { cause: error });
  }
}
