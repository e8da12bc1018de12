/** Messages of a world: each one arrives, is lost, is late, or is doubled. */
import type { Action, Play } from './action.js';
import type { Turn } from './hands.js';
import { judge, trace } from './judge.js';
import { type Message, reaches, ref, spend, type World } from './world.js';

export function messageActions(world: World, message: Message, play: Play): Action[] {
  const { id, from, to, phase, isLate } = message;
  const others = world.messages.filter((other) => other !== message);
  const found: Action[] = [];
  if (phase === 'request') {
    found.push({
      label: `${id} arrives${isLate ? ' late' : ''}`,
      calm: isLate ? 6 : 2,
      isAnyTime: isLate,
      node: to,
      run: (turn) => arrive(world, message, turn, play),
    });
    if (!isLate && world.budget.faults > 0) {
      const spent = spend(world, 'faults');
      const fails = (turn: Turn, messages: readonly Message[]): World => failAsker({ ...spent, messages }, message, turn, play);
      found.push(
        { label: `${id} is lost`, node: from, run: (turn) => fails(turn, others) },
        { label: `${id} is late`, node: from, run: (turn) => fails(turn, [...others, { ...message, isLate: true }].sort(byId)) },
        {
          label: `${id} is doubled`,
          run: () => ({ ...spent, messages: [...world.messages, { ...message, id: `${id} again`, isLate: true }].sort(byId) }),
        },
      );
    }
  }
  if (phase === 'reply') {
    const left = { ...world, messages: others };
    found.push({
      label: `the answer to ${id} arrives`,
      calm: 2,
      node: from,
      run: (turn) => {
        const { error, value } = message.answer ?? {};
        if (error !== undefined) return failAsker(left, message, turn, play);
        return play(left, from, turn, (hands) =>
          hands.ended(message.key, message.method === 'handover' ? { giver: ref(to), handover: value } : value),
        );
      },
    });
    if (world.budget.faults > 0)
      found.push({
        label: `the answer to ${id} is lost`,
        node: from,
        run: (turn) => failAsker({ ...spend(world, 'faults'), messages: others }, message, turn, play),
      });
  }
  return found;
}

/** The former owner need not hear that the disk was accepted: it asks. */
function failAsker(world: World, { from, key, method, answer }: Message, turn: Turn, play: Play): World {
  return play(world, from, turn, (hands) => (method === 'accepted' ? hands.ended(key) : hands.failed(key, answer?.error ?? 'gone')));
}

async function arrive(world: World, message: Message, turn: Turn, play: Play): Promise<World> {
  const { id, from, to, method, epoch, isLate } = message;
  const others = world.messages.filter((other) => other !== message);
  const answered = (error: string): World => {
    const reply: Message = { ...message, phase: 'reply', answer: { error } };
    return { ...world, messages: isLate ? others : [...others, reply].sort(byId) };
  };
  if (!reaches(world, from, to) && !(isLate && world.nodes[to].isUp)) return answered('gone');
  const node = world.nodes[to];
  const own = trace(node);
  if (method === 'handover' && (node.file === undefined || !node.isOpen)) return answered('not owner');
  if (method === 'accepted' && epoch > own.epoch && !(own.state === 'granted' && own.to?.id === from && epoch === own.epoch + 1))
    return answered('not granted');
  if (method === 'resolve' && !(await mayResolve(world, message))) return answered('not yet');
  const served: World = { ...world, messages: [...others, { ...message, phase: 'served' as const }].sort(byId) };
  const kind = method === 'handover' ? 'grant' : method;
  const work = { kind, id, node: ref(from), epoch: method === 'handover' ? undefined : epoch, reason: 'write' } as const;
  return play(served, to, turn, (hands) => hands.dispatch({ kind: 'want', work }));
}

/** As `admitResolve`. */
async function mayResolve(world: World, { from, to, epoch }: Message): Promise<boolean> {
  const node = world.nodes[to];
  const { works, queue } = node.driver.volatile;
  const isTaking = works['job']?.kind === 'take' || queue.some(({ kind }) => kind === 'take');
  const held = Math.max(node.heldEpoch, node.file?.epoch ?? 0);
  if (isTaking || held >= epoch || node.refusedEpoch >= epoch) return true;
  const word = trace(world.nodes[from]);
  if (!reaches(world, to, from) || word.state !== 'granted' || word.epoch !== epoch - 1 || word.to?.id !== to) return false;
  return (await judge(world, to, from, epoch - 1)) === 'proven';
}

function byId(left: Message, right: Message): number {
  return left.id < right.id ? -1 : 1;
}
