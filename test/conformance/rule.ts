/** One rule of the specification, as a test over a subject. Each ends its own connections, and none leaves the server worse for the next. */
import type { Test } from 'tap';
import { Client, modes, type Subject } from './subject.js';
import type { Replies } from './wire/session.js';

export type RuleBody = (t: Test, client: Client) => Promise<void>;

export interface RuleOptions {
  /** Why the rule can't be tried on this subject. */
  skip?: string | false | undefined;
}

/** @param name unique in the suite: known deviations go by it */
export function rule(t: Test, subject: Subject, name: string, body: RuleBody, options: RuleOptions = {}): void {
  const skip = subject.deviations?.[name] ?? options.skip ?? false;
  t.test(name, { skip }, async (t) => {
    const client = new Client(subject);
    t.teardown(() => client.close());
    await body(t, client);
  });
}

/** The same rule in each mode of reply, as `name (simple)` and so on; a deviation may go by either name. */
export function ruleInEachMode(
  t: Test,
  subject: Subject,
  name: string,
  body: (t: Test, client: Client, replies: Replies) => Promise<void>,
  options: RuleOptions & { only?: Replies[] } = {},
): void {
  for (const replies of modes(subject)) {
    if (options.only !== undefined && !options.only.includes(replies)) continue;
    const skip = subject.deviations?.[name] ?? options.skip;
    rule(t, subject, `${name} (${replies})`, (t, client) => body(t, client, replies), { skip });
  }
}
