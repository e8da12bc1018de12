/** Commands of operators, claims of strangers, reads of the index in etcd, and failures of a node's own. */
import type { Action, Play } from './action.js';
import type { Turn } from './hands.js';
import { crashed, edit, type Id, ids, isOwner, type Node, reaches, ref, spend, type World } from './world.js';

/** Commands that end by themselves, as work for the machine. */
const commands = {
  still: 'is copied',
  replace: 'is rewritten',
  host: 'is opened again',
  remove: 'is removed',
  receive: 'is sent ahead',
} as const;

export function commandActions(world: World, id: Id, node: Node, play: Play): Action[] {
  const found: Action[] = [];
  const want = (from: World, kind: keyof typeof commands | 'reopen', turn: Turn): World =>
    play(from, id, turn, (hands) => hands.dispatch({ kind: 'want', work: { kind, id: 'command' } }));
  const isIdle = node.driver.volatile.works['job'] === undefined;
  if (node.isReopening)
    found.push({
      label: `${id} opens its files later`,
      calm: 5,
      node: id,
      run: (turn) => want(edit(world, id, { isReopening: false }), 'reopen', turn),
    });
  else if (node.file !== undefined && !node.isOpen && isIdle)
    found.push({ label: `an operator has ${id} open its files`, calm: 5, node: id, run: (turn) => want(world, 'host', turn) });
  if (node.driver.volatile.isClosed) found.push({ label: `${id} ends`, calm: 3, isAnyTime: true, run: () => crashed(world, id) });
  if (world.budget.commands === 0) return found;
  const spent = spend(world, 'commands');
  const isSent = ids.some((other) => other !== id && isOwner(world.nodes[other]) && reaches(world, id, other));
  for (const kind of ['still', 'replace', 'host', 'remove', 'receive'] as const) {
    const fits = { still: node.isOpen, replace: node.isOpen, host: node.isOpen, remove: !isOwner(node), receive: isSent }[kind];
    if (fits) found.push({ label: `the disk at ${id} ${commands[kind]}`, node: id, run: (turn) => want(spent, kind, turn) });
  }
  if (!node.driver.volatile.isClosed)
    found.push({ label: `${id} is about to end`, run: (turn) => play(spent, id, turn, (hands) => hands.dispatch({ kind: 'close' })) });
  for (const other of ids) {
    if (other === id || !isOwner(node) || !world.nodes[other].isUp || node.driver.volatile.works[`claim ${other}`] !== undefined) continue;
    const own = node.file?.epoch ?? 0;
    for (const [text, epoch, isTrusted] of [
      ['is told of an old claim', own, false],
      ['is told of a false claim', own + 1, true],
      ['is told by a stranger of a false claim', own + 1, false],
    ] as const)
      found.push({
        label: `${id} ${text} of ${other}`,
        node: id,
        run: (turn) =>
          play(spent, id, turn, (hands) =>
            hands.dispatch({ kind: 'want', work: { kind: 'claim', id: other, node: ref(other), epoch, isTrusted } }),
          ),
      });
  }
  if (node.isOpen && !isOwner(node) && node.driver.volatile.works['released late'] === undefined)
    found.push({
      label: `a completion of ${id} that was stopped asks late for a release`,
      node: id,
      run: (turn) =>
        play(spent, id, turn, (hands) =>
          hands.dispatch({
            kind: 'want',
            work: { kind: 'released', id: 'late', index: '0', node: ref('A'), epoch: node.file?.epoch ?? 0 },
          }),
        ),
    });
  const { owner, epoch } = world.index;
  if (owner !== id && !isOwner(node) && epoch > (node.told?.epoch ?? 0))
    found.push({ label: `${id} reads the index in etcd`, run: () => edit(spent, id, { told: { owner, epoch } }) });
  return found;
}

/** An effect that takes time fails. */
export function failureActions(world: World, id: Id, node: Node, play: Play): Action[] {
  if (world.budget.breaks === 0) return [];
  const failing: Partial<Record<string, string>> = {
    flush: 'can not flush',
    settleLease: 'waits in vain for its lease',
    prove: 'can not judge',
    work: 'fails in its work with the files',
  };
  return Object.entries(node.driver.runs).flatMap(([key, { effects }]): Action[] => {
    const [effect] = effects;
    // A taker's lanes are stopped already, and may be told in vain.
    const isTaking = node.driver.volatile.works[key]?.kind === 'take';
    const isVain = isTaking && effect?.kind === 'refreshLanes' && effect.isAwaited === true && node.lanes === 0;
    const text = isVain ? 'can not reach its lanes' : failing[effect?.kind ?? ''];
    if (text === undefined) return [];
    return [
      {
        label: `${id} ${text}: ${key}`,
        node: id,
        run: (turn) => play(spend(world, 'breaks'), id, turn, (hands) => hands.failed(key, 'broken')),
      },
    ];
  });
}
