/** The shape of a line in the table of ownership, and parts of its conditions and effects. Pure. */
import type { NodeRef } from '../protocol/record.js';
import type { Effect, EffectKind, Facts, Ownership, Refusal, Volatile, Work } from './state.js';

/** All that a line may look at. */
export interface Context {
  readonly facts: Facts;
  readonly volatile: Volatile;
  readonly work: Work;
}

/** One effect of a line: its kind is fixed, its arguments follow from the context. */
export interface Fx {
  readonly kind: EffectKind;
  /** Text for the printed table. */
  readonly text: string;
  make(context: Context): Effect;
}

export interface Rule {
  /** Phases of work in which the line counts, as `kind phase`. */
  readonly at: readonly string[];
  readonly on: 'begin' | 'done' | 'failed';
  /** Condition in words; absent: always. */
  readonly when?: string;
  is?(context: Context): boolean;
  /** True if the line is followed at once, also while a job is under way. */
  readonly isAtOnce?: boolean;
  readonly effects: readonly Fx[];
  /** Next phase; absent: the work ends when the effects have. */
  readonly next?: string;
  /** Changes of the work. */
  keep?(context: Context): Partial<Work>;
  /** Changes of the volatile part. */
  set?(context: Context): Partial<Volatile>;
}

export const isOwner = ({ facts }: Context): boolean => facts.file?.state === 'owner';
/** Files of the disk are here, and are not open. */
export const isClosedFile = ({ facts }: Context): boolean => facts.file === undefined && facts.hasFiles;
/** The disk was granted, and the taker has not said that it has it. */
export const isUnsettled = ({ facts }: Context): boolean => facts.file?.state === 'granted' && facts.file.to?.accepted === false;
export const ownEpoch = ({ facts }: Context): number => facts.file?.epoch ?? 0;
export const nodeOf = ({ work }: Context): NodeRef => work.node ?? { id: '', address: '' };
export const epochOf = ({ work }: Context): number => work.epoch ?? 0;

/** Node that the disk was granted to. */
export function granteeOf({ facts }: Context): NodeRef {
  const { id, address } = facts.file?.to ?? { id: '', address: '' };
  return { id, address };
}

/** True if a later owner than of that epoch is known; `by` where a member proved the force. */
export function laterThan({ facts }: Context, epoch: number): { by?: NodeRef } | undefined {
  const { force, told, selfId } = facts;
  if (force !== undefined && force.to > epoch && force.node.id !== selfId) return { by: force.node };
  return told !== undefined && told.epoch > epoch && told.owner.id !== selfId ? {} : undefined;
}

/** True if the disk is granted to the node, and may be handed to it once more. */
export function isGrantedTo(file: Ownership | undefined, nodeId: string): boolean {
  return file?.state === 'granted' && file.to?.id === nodeId && !file.to.accepted;
}

/** True if the work is a takeover, under way or waiting. */
export function isTaking({ works, queue }: Volatile): boolean {
  return works['job']?.kind === 'take' || queue.some(({ kind }) => kind === 'take');
}

/** An effect without arguments. */
export function fx(kind: Exclude<EffectKind, 'persist' | 'ask' | 'reply' | 'reject' | 'report'>): Fx {
  return { kind, text: kind, make: () => ({ kind }) as Effect };
}

export function persist(
  text: string,
  file: (context: Context) => Partial<Ownership>,
  without?: (context: Context) => string | undefined,
): Fx {
  return {
    kind: 'persist',
    text: `persist ${text}`,
    make: (context) => ({ kind: 'persist', file: file(context), ...(without === undefined ? {} : { without: without(context) }) }),
  };
}

export function effect(text: string, make: (context: Context) => Effect): Fx {
  const kind = text.split(' ')[0] as EffectKind;
  return { kind, text, make };
}

export function reply(answer: Extract<Effect, { kind: 'reply' }>['answer']): Fx {
  return { kind: 'reply', text: `reply ${answer}`, make: () => ({ kind: 'reply', answer }) };
}

export function reject(why: Refusal | 'error'): Fx {
  return { kind: 'reject', text: `reject ${why}`, make: () => ({ kind: 'reject', why }) };
}

export function report(event: Extract<Effect, { kind: 'report' }>['event']): Fx {
  return { kind: 'report', text: 'report', make: () => ({ kind: 'report', event }) };
}

/** Effects that several lines have. */
export const refreshLanes = effect('refreshLanes (awaited)', () => ({ kind: 'refreshLanes', isAwaited: true }));
export const refreshLanesSoon = fx('refreshLanes');
export const stopCompletion = effect('stopCompletion (awaited)', () => ({ kind: 'stopCompletion', isAwaited: true }));
/** Lifts the fences of a handover that came no further. */
export const readmit = effect('readmit', (c) => ({ kind: 'readmit', epoch: ownEpoch(c) + 1 }));
export const askResolve = effect('ask resolve', (c) => ({ kind: 'ask', method: 'resolve', node: granteeOf(c), epoch: ownEpoch(c) + 1 }));
