import t from 'tap';
import { MemberVerdict, type MemberVerdictEntry } from '../../../src/cluster/health/member-verdict.js';
import type { NodeStatement } from '../../../src/cluster/node.js';
import { statementOf } from '../../peer/node-statement.js';

const self = statementOf('a');

function up(address: string, statement: NodeStatement): MemberVerdictEntry {
  return { address, state: { kind: 'up', statement } };
}

function down(address: string): MemberVerdictEntry {
  return { address, state: { kind: 'down', message: 'no answer' } };
}

function kinds(memberVerdict: MemberVerdict, ...entries: MemberVerdictEntry[]): string[] {
  const verdicts = memberVerdict.judge(self, entries);
  return entries.map(({ address }) => verdicts.get(address)?.kind ?? 'nothing');
}

t.test('members, this node itself, and those who are not there', async (t) => {
  const memberVerdict = new MemberVerdict();
  t.same(
    kinds(
      memberVerdict,
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
  const memberVerdict = new MemberVerdict();
  const first = up('b:1', statementOf('b'));
  const second = up('z:1', statementOf('b', { token: 'other', address: 'z:1' }));
  t.same(kinds(memberVerdict, second), ['member']);
  t.same(kinds(memberVerdict, first, second), ['conflict', 'member'], 'first is who was there first, not who is named first');
  t.match(memberVerdict.judge(self, [first, second]).get('b:1'), { message: /--node/ });
  t.same(kinds(memberVerdict, first, down('z:1')), ['member', 'down']);
  t.same(kinds(memberVerdict, first, second), ['member', 'conflict']);
});

t.test("this node's own id is nobody else's", async (t) => {
  t.same(kinds(new MemberVerdict(), up('b:1', statementOf('a', { token: 'other' }))), ['conflict']);
});

t.test('a copied state directory is not this node', async (t) => {
  const copy = up('b:1', statementOf('b', { token: self.token }));
  t.same(kinds(new MemberVerdict(), copy), ['conflict']);
  t.match(new MemberVerdict().judge(self, [copy]).get('b:1'), { message: /state directory/ });
  t.same(kinds(new MemberVerdict(), up('b:1', statementOf('a', { token: self.token, address: 'b:1' }))), ['conflict'], 'under the same id');
});

t.test('a second way to a member is that member', async (t) => {
  const memberVerdict = new MemberVerdict();
  const b = statementOf('b');
  t.same(kinds(memberVerdict, up('b:1', b), up('10.0.0.2:1', b)), ['member', 'alias']);
  t.same(kinds(memberVerdict, down('b:1'), up('10.0.0.2:1', b)), ['down', 'member'], 'and takes its place');
  t.same(kinds(memberVerdict, up('b:1', b), up('10.0.0.2:1', b)), ['alias', 'member']);
});

t.test('a node that began anew with an empty state directory is a member', async (t) => {
  const memberVerdict = new MemberVerdict();
  t.same(kinds(memberVerdict, up('b:1', statementOf('b'))), ['member']);
  t.same(kinds(memberVerdict, up('b:1', statementOf('b', { token: 'new' }))), ['member']);
});

t.test('who has an id in another cluster does not hold it here', async (t) => {
  const memberVerdict = new MemberVerdict();
  const foreign = up('x:1', statementOf('b', { cluster: 'other', token: 'x' }));
  t.same(kinds(memberVerdict, foreign, up('b:1', statementOf('b'))), ['elsewhere', 'member']);
});
