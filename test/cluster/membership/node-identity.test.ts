/** What a node remembers of itself. */
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { silentLogger } from '../../../src/base/log.js';
import { NodeIdentity } from '../../../src/cluster/membership/node-identity.js';

const choice = { name: 'near-a', reason: 'founded: there is no cluster yet', chosenAt: '2026-11-01T00:00:00.000Z' };

t.test('token and choice survive a restart', async (t) => {
  const dir = t.testdir();
  const path = join(dir, 'node.json');
  const identity = new NodeIdentity(path, silentLogger);
  t.match(identity.token, /^[0-9a-f]{32}$/);
  t.equal(identity.choice, undefined);
  identity.remember(choice);
  const again = new NodeIdentity(path, silentLogger);
  t.equal(again.token, identity.token);
  t.same(again.choice, choice);
  again.forgetChoice();
  const third = new NodeIdentity(path, silentLogger);
  t.equal(third.token, identity.token);
  t.equal(third.choice, undefined);
  t.same(readdirSync(dir), ['node.json']);
  t.equal(statSync(path).mode & 0o777, 0o600);
});

t.test('two nodes have two tokens', async (t) => {
  const dir = t.testdir();
  t.not(new NodeIdentity(join(dir, 'a'), silentLogger).token, new NodeIdentity(join(dir, 'b'), silentLogger).token);
});

t.test('a broken file is a new identity', async (t) => {
  const path = join(t.testdir(), 'node.json');
  for (const text of ['', '{"version": 1, "tok', '{"version":1,"token":"short"}', '[]']) {
    writeFileSync(path, text);
    const { token } = new NodeIdentity(path, silentLogger);
    t.equal(new NodeIdentity(path, silentLogger).token, token);
  }
});
