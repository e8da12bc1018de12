import t from 'tap';
import { Roster, type RosterEntry } from '../../../src/cluster/health/roster.js';
import type { NodeStatement } from '../../../src/cluster/node.js';
import { statementOf } from '../../peer/node-statement.js';

const self = statementOf('a');

function up(address: string, statement: NodeStatement): RosterEntry {
  return { address, state: { kind: 'up', statement } };
}

function down(address: string): RosterEntry {
  return { address, state: { kind: 'down', message: 'no answer' } };
}

function kinds(roster: Roster, ...entries: RosterEntry[]): string[] {
  const verdicts = roster.judge(self, entries);
  return entries.map(({ address }) => verdicts.get(address)?.kind ?? 'nothing');
}

t.test('members, this node itself, and those who are not there', async (t) => {
  const roster = new Roster();
  t.same(
    kinds(
      roster,
      up('b:1', statementOf('b')),
      up('localhost:1', self),
      down('c:1'),
      { address: 'd:1', state: { kind: 'new' } },
      { address: 'e:1', state: { kind: 'incompatible', message: 'too old', id: 'e', version: '0' } },
      up('f:1', statementOf('f', { cluster: 'other' })),
    ),
    ['member', 'self', 'down', 'new', 'incompatible', 'elsewhere'],
  );
});

t.test('of two with one id the first stays, until it goes', async (t) => {
  const roster = new Roster();
  const first = up('b:1', statementOf('b'));
  const second = up('z:1', statementOf('b', { token: 'other', address: 'z:1' }));
  t.same(kinds(roster, second), ['member']);
  t.same(kinds(roster, first, second), ['conflict', 'member'], 'first is who was there first, not who is named first');
  t.match(roster.judge(self, [first, second]).get('b:1'), { message: /--node/ });
  t.same(kinds(roster, first, down('z:1')), ['member', 'down']);
  t.same(kinds(roster, first, second), ['member', 'conflict']);
});

t.test("this node's own id is nobody else's", async (t) => {
  t.same(kinds(new Roster(), up('b:1', statementOf('a', { token: 'other' }))), ['conflict']);
});

t.test('a copied state directory is not this node', async (t) => {
  const copy = up('b:1', statementOf('b', { token: self.token }));
  t.same(kinds(new Roster(), copy), ['conflict']);
  t.match(new Roster().judge(self, [copy]).get('b:1'), { message: /state directory/ });
  t.same(kinds(new Roster(), up('b:1', statementOf('a', { token: self.token, address: 'b:1' }))), ['conflict'], 'under the same id');
});

t.test('a second way to a member is that member', async (t) => {
  const roster = new Roster();
  const b = statementOf('b');
  t.same(kinds(roster, up('b:1', b), up('10.0.0.2:1', b)), ['member', 'alias']);
  t.same(kinds(roster, down('b:1'), up('10.0.0.2:1', b)), ['down', 'member'], 'and takes its place');
  t.same(kinds(roster, up('b:1', b), up('10.0.0.2:1', b)), ['alias', 'member']);
});

t.test('a node that began anew with an empty state directory is a member', async (t) => {
  const roster = new Roster();
  t.same(kinds(roster, up('b:1', statementOf('b'))), ['member']);
  t.same(kinds(roster, up('b:1', statementOf('b', { token: 'new' }))), ['member']);
});

t.test('who has an id in another cluster does not hold it here', async (t) => {
  const roster = new Roster();
  const foreign = up('x:1', statementOf('b', { cluster: 'other', token: 'x' }));
  t.same(kinds(roster, foreign, up('b:1', statementOf('b'))), ['elsewhere', 'member']);
});
