/**
 * The clients that are attached to a disk at this node, and which of them may write: the newest one that has written,
 * and those alone that share its word.
 *
 * The first change by a newer session displaces the older ones. Their later requests are refused, and requests under way
 * are awaited. So a client that reconnects, a connection that is half open and a migration on one host are one case. A
 * session of the same client is a reconnect. Another client that had written is remembered as displaced, and never gets
 * the disk back by itself.
 *
 * A TCP client is known only by its address, so two clients on one host look alike. If a displaced address still writes
 * after 5 s, there are two. Clients without any known identity count as one address. Where /proc hides processes, a
 * client can't be told from one that was displaced before this daemon started: none of them writes to a disk that had a
 * fence.
 */
import type { Clock } from '../../base/clock.js';
import { errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import { isProcess, isSameClient } from '../../server/client-identity.js';
import type { ClientIdentity } from '../../server/export.js';
import { fenceOf } from './fence.js';
import type { DiskNotes } from './notes.js';
import { DiskSession, type SessionHost } from './session.js';
import type { SessionFence } from './session-fence.js';

export interface WriterElectionOptions {
  host: SessionHost;
  uuid: string;
  name: string;
  notes: DiskNotes;
  clock: Clock;
  log: Logger;
}

/** What a broken connection had in its buffers has arrived by then: who still writes is alive. */
const aliveAfterMs = 5000;

export class WriterElection {
  readonly #options: WriterElectionOptions;
  readonly #sessions = new Set<DiskSession>();
  /** Those that have left while changes of theirs were under way. */
  readonly #leaving = new Set<DiskSession>();
  #writer: DiskSession | undefined;
  #orderCount = 0;

  constructor(options: WriterElectionOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#sessions.size;
  }

  get sessions(): ReadonlySet<DiskSession> {
    return this.#sessions;
  }

  attach(client: ClientIdentity): DiskSession {
    const { host, log, name, notes, uuid } = this.#options;
    const found = fenceOf(notes, uuid, client.key);
    if (found !== undefined) {
      const { fence, why } = found;
      log.warn(
        { disk: name, client: client.text, by: fence.by, at: fence.at, fenced: fence.client },
        `a client attaches that ${why}: it can not write ("copse disk take" lets it)`,
      );
    }
    this.#orderCount += 1;
    const session = new DiskSession(host, client, this.#orderCount, found && this.#fence(found.fence.by, found.forReads));
    this.#sessions.add(session);
    return session;
  }

  left(session: DiskSession): void {
    this.#sessions.delete(session);
    this.#leaving.add(session);
    void session.changes.empty().then(() => this.#leaving.delete(session));
    if (this.#writer === session) this.#setWriter(undefined);
    const { uuid, name, notes, log } = this.#options;
    const { key } = session.client;
    const writer = notes.writer(uuid);
    if (writer === undefined || !isSameClient(writer, key) || this.#isAttached(key)) return;
    try {
      notes.setWriter(uuid, undefined);
    } catch (error) {
      // It stays remembered: another one that writes has to displace it, as after a restart.
      log.warn(
        { disk: name, client: session.client.text, reason: errorMessage(error) },
        'that a client has left this disk could not be noted',
      );
    }
  }

  /** What native threads may answer follows from what has changed. Resolves when they use nothing any more that they may not. */
  async refresh(): Promise<void> {
    await Promise.all([...this.#sessions].map(({ fast }) => fast.refresh()));
  }

  mayChange(session: DiskSession): boolean {
    return this.#options.host.multiConn || this.#writer === session;
  }

  /** Notes, durably when it returns, who is about to become the one that writes, where nobody else is noted: it need not be noted later, when somebody waits for that. */
  expect({ client }: DiskSession): void {
    const { uuid, notes } = this.#options;
    if (notes.writer(uuid) === undefined) notes.setWriter(uuid, client.key);
  }

  /** Makes the session the one that writes. Resolves when nothing of the older ones is under way any more. */
  async promote(session: DiskSession): Promise<void> {
    if (this.mayChange(session) || session.fence !== undefined || !this.#sessions.has(session)) return;
    const older = [...this.#sessions].filter((other) => other !== session && other.order <= session.order && other.fence === undefined);
    for (const other of older) this.#displace(other, session.client);
    this.#becomeWriter(session);
    await Promise.all([...older, ...this.#leaving].map((other) => other.changes.empty()));
    // Only now it may write; a newer one may have come meanwhile, and this one may have left.
    if (session.fence === undefined && this.#sessions.has(session)) this.#setWriter(session);
  }

  /**
   * The disk goes to another node: no session of this one goes on. Who wrote is remembered, durably when it returns.
   *
   * @param by for people
   * @param epoch the new owner's, to undo it by; absent: it can't be undone
   */
  displaceAll(by: string, epoch?: number): void {
    const { uuid, notes } = this.#options;
    const displaced = [...this.#sessions].filter(({ fence }) => fence === undefined);
    const writer = notes.writer(uuid);
    const keys = displaced.filter((session) => this.#hasWritten(session)).map(({ client }) => client.key);
    // Who wrote before a restart, and has not come back yet, will.
    this.#remember(writer === undefined ? keys : [...keys, writer], by, epoch);
    const fence = { ...this.#fence(by, true), epoch };
    for (const session of displaced) session.fence = fence;
    this.#setWriter(undefined);
  }

  /** Undoes `displaceAll`, also one of an earlier process. */
  readmit(epoch: number): void {
    for (const session of this.#sessions) if (session.fence?.epoch === epoch) session.fence = undefined;
    this.#options.notes.liftFences(this.#options.uuid, (fence) => fence.epoch === epoch);
  }

  /** By an operator: whoever writes first from now on is the one. */
  liftFences(): void {
    this.#options.notes.liftFences(this.#options.uuid);
    // None of them is older than another, so that none displaces the first for being newer.
    this.#orderCount += 1;
    for (const session of this.#sessions) {
      session.fence = undefined;
      session.order = this.#orderCount;
    }
    this.#setWriter(undefined);
  }

  #setWriter(session: DiskSession | undefined): void {
    this.#writer = session;
    void this.refresh();
  }

  #displace(older: DiskSession, client: ClientIdentity): void {
    const { log, name } = this.#options;
    const fence = this.#fence(client.text, true);
    const isSame = isSameClient(older.client.key, client.key);
    const reconnect = isSame && isProcess(client.key);
    const about = { disk: name, client: older.client.text, by: client.text };
    if (reconnect || !this.#hasWritten(older)) {
      older.fence = fence;
      log.info(about, 'a newer connection writes to this disk: the older one is cut off');
      return;
    }
    // First: when that fails, whoever displaces it tries again, and finds it as it was.
    if (!isSame) this.#remember([older.client.key], client.text);
    older.fence = fence;
    log.warn(
      about,
      'another client writes to this disk: the one that wrote before is stopped with errors, and can not come back by itself',
    );
  }

  /** A session that was displaced still writes. */
  refused({ client, fence }: DiskSession): void {
    const { clock, uuid, notes, log, name } = this.#options;
    if (fence === undefined || isProcess(client.key) || clock.nowMs() - fence.sinceMs < aliveAfterMs) return;
    if (notes.fences(uuid).some((known) => known.client === client.key)) return;
    log.warn(
      { disk: name, client: client.text, by: fence.by },
      'two clients that can not be told apart write to this disk: none that looks so attaches as a writer before "copse disk take"',
    );
    this.#remember([client.key], fence.by);
  }

  #fence(by: string, forReads: boolean): SessionFence {
    return { by, forReads, sinceMs: this.#options.clock.nowMs() };
  }

  #remember(keys: string[], by: string, epoch?: number): void {
    const at = new Date().toISOString();
    this.#options.notes.fence(this.#options.uuid, ...[...new Set(keys)].map((client) => ({ client, by, at, epoch })));
  }

  /** Durably, so that it can be displaced when this node has restarted and it has not come back yet. */
  #becomeWriter({ client }: DiskSession): void {
    const { uuid, name, notes, log } = this.#options;
    const before = notes.writer(uuid);
    if (before !== undefined && !isSameClient(before, client.key) && !this.#isAttached(before)) {
      const about = { disk: name, client: before, by: client.text };
      log.warn(about, 'another client writes to this disk than before the restart: that one can not come back by itself');
      this.#remember([before], client.text);
    }
    notes.setWriter(uuid, client.key);
  }

  #isAttached(key: string): boolean {
    return [...this.#sessions].some((session) => isSameClient(key, session.client.key));
  }

  /** Before a restart of this node, too. */
  #hasWritten({ client, hasWritten }: DiskSession): boolean {
    const writer = this.#options.notes.writer(this.#options.uuid);
    return hasWritten || (writer !== undefined && isSameClient(writer, client.key));
  }
}
