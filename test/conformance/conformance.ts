/** The whole suite, to be put under any transport: one call in a test file of its own for each. */
import type { Test } from 'tap';
import { blockStatus } from './block-status.js';
import { fault } from './fault.js';
import { greeting } from './greeting.js';
import { message } from './message.js';
import { metaContext } from './meta-context.js';
import { option } from './option.js';
import { read } from './read.js';
import type { Subject } from './subject.js';
import { write } from './write.js';

const chapters = { greeting, option, metaContext, read, write, blockStatus, message, fault };
export type Chapter = keyof typeof chapters;

/** Registers the rules as subtests of `t`, a chapter each. Rules run one after the other. */
export function conformance(t: Test, subject: Subject, only: Chapter[] = Object.keys(chapters) as Chapter[]): void {
  for (const name of only) {
    t.test(`${subject.name}: ${name}`, async (t) => chapters[name](t, subject));
  }
}
