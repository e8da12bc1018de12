import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { FileInput } from '../../src/config/file-schema.js';
import { loadConfig } from '../../src/config/load.js';
import { ConfigError, type ConfigProblem } from '../../src/config/problem.js';

/** What is wrong with the text, without messages. */
async function problemsIn(dir: string, toml: string): Promise<ConfigProblem[]> {
  const file = join(dir, 'copse.toml');
  await writeFile(file, toml);
  try {
    await loadConfig({ file, env: {}, isRoot: true });
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map((problem) => ({ ...problem }));
    throw error;
  }
  return [];
}

interface Case {
  name: string;
  toml: string;
  key: string;
  line: number | undefined;
  /** What the message must offer. */
  remedy: RegExp;
}

const cases: Case[] = [
  { name: 'not TOML', toml: 'a = 1\nb = \n', key: '', line: 2, remedy: /not TOML/ },
  { name: 'key given twice', toml: 'state = "a"\nstate = "b"\n', key: '', line: 2, remedy: /not TOML/ },
  { name: 'unknown key, near one', toml: '\nstat = "/x"', key: 'stat', line: 2, remedy: /did you mean state\?/ },
  { name: 'unknown key, near none', toml: '[cache]\nzzz = 1', key: 'cache.zzz', line: 2, remedy: /size, min_free/ },
  { name: 'unknown table', toml: '[limits]\n', key: 'limits', line: 1, remedy: /did you mean limit\?/ },
  {
    name: 'unknown key of an image',
    toml: '[[image]]\nname="a"\nurl="b"\n\n[[image]]\nname="c"\nurl="d"\nchunksize="64K"',
    key: 'image[2].chunksize',
    line: 8,
    remedy: /chunk_size/,
  },
  { name: 'dotted key', toml: 'cache.sise = "1G"', key: 'cache.sise', line: 1, remedy: /did you mean size/ },
  { name: 'inline table', toml: 'log_level = "info"\ncache = { sise = 3 }', key: 'cache.sise', line: 2, remedy: /did you mean size/ },
  { name: 'size', toml: '[cache]\nsize = "12X"', key: 'cache.size', line: 2, remedy: /20G/ },
  { name: 'size of the wrong type', toml: '[cache]\nsize = true', key: 'cache.size', line: 2, remedy: /"100G"/ },
  { name: 'negative size', toml: '[cache]\nsize = -1', key: 'cache.size', line: 2, remedy: /"100G"/ },
  { name: 'share', toml: '[cache]\nmin_free = "120%"', key: 'cache.min_free', line: 2, remedy: /100%/ },
  { name: 'chunk size', toml: '[image_default]\nchunk_size = "96K"', key: 'image_default.chunk_size', line: 2, remedy: /power of two/ },
  { name: 'duration without unit', toml: '[image_default]\ndeadline = 30', key: 'image_default.deadline', line: 2, remedy: /"30s"/ },
  { name: 'duration', toml: '[image_default]\ndeadline = "30"', key: 'image_default.deadline', line: 2, remedy: /30s/ },
  { name: 'no time for the handshake', toml: '[limit]\nhandshake_timeout = "0"', key: 'limit.handshake_timeout', line: 2, remedy: /1ms/ },
  { name: 'too few connections', toml: '[limit]\nconnections = 0', key: 'limit.connections', line: 2, remedy: /1/ },
  { name: 'less than one request', toml: '[limit]\nrequest_memory = "1M"', key: 'limit.request_memory', line: 2, remedy: /32M/ },
  { name: 'log level', toml: 'log_level = "loud"', key: 'log_level', line: 1, remedy: /fatal, error, warn, info/ },
  { name: 'one address of a list', toml: 'listen = [\n "unix:/a",\n "tcp:x",\n]', key: 'listen[2]', line: 1, remedy: /tcp:HOST:PORT/ },
  { name: 'no address', toml: 'listen = []', key: 'listen', line: 1, remedy: /at least one/ },
  { name: 'address too long', toml: `listen = ["unix:/${'x'.repeat(120)}"]`, key: 'listen[1]', line: 1, remedy: /shorter/ },
  { name: 'mode as a number', toml: 'socket_mode = 660', key: 'socket_mode', line: 1, remedy: /"0660"/ },
  { name: 'admin for everybody', toml: 'admin = "tcp:0.0.0.0:80"', key: 'admin', line: 1, remedy: /admin_allow_remote = true/ },
  { name: 'image without a name', toml: '[[image]]\nurl = "x"', key: 'image[1].name', line: 1, remedy: /missing/ },
  { name: 'image with a bad name', toml: '[[image]]\nurl = "x"\nname = "../x"', key: 'image[1].name', line: 3, remedy: /debian-12/ },
  {
    name: 'two images of one name',
    toml: '[[image]]\nname = "a"\nurl = "x"\n[[image]]\nurl = "y"\nname = "a"',
    key: 'image[2].name',
    line: 6,
    remedy: /another/,
  },
  {
    name: 'user without password',
    toml: '[[credential]]\nurl_prefix = "x"\nuser = "u"',
    key: 'credential[1].user',
    line: 3,
    remedy: /password_file/,
  },
  {
    name: 'password without user',
    toml: '[[credential]]\nurl_prefix = "x"\npassword = "u"',
    key: 'credential[1].password',
    line: 3,
    remedy: /add user/,
  },
  {
    name: 'two passwords',
    toml: '[[credential]]\nurl_prefix = "x"\nuser = "u"\npassword = "p"\npassword_file = "f"',
    key: 'credential[1].password_file',
    line: 5,
    remedy: /keep one/,
  },
  {
    name: 'password and token',
    toml: '[[credential]]\nurl_prefix = "x"\nuser = "u"\npassword = "p"\nbearer = "f"',
    key: 'credential[1].bearer',
    line: 5,
    remedy: /keep one/,
  },
  { name: 'nothing for a prefix', toml: '[[credential]]\nurl_prefix = "x"', key: 'credential[1].url_prefix', line: 2, remedy: /add user/ },
  {
    name: 'secret that is not there',
    toml: '[[credential]]\nurl_prefix = "x"\nbearer_file = "nope"',
    key: 'credential[1].bearer_file',
    line: 3,
    remedy: /nope/,
  },
  { name: 'name with a step up', toml: '[[image]]\nurl = "x"\nname = "a/../b"', key: 'image[1].name', line: 3, remedy: /leave/ },
  { name: 'scheme of an image', toml: '[[image]]\nname = "a"\nurl = "ftp://o/x"', key: 'image[1].url', line: 3, remedy: /https:/ },
  {
    name: 'manifest without digest',
    toml: '[[image]]\nname = "a"\nurl = "x"\nmanifest = "m"',
    key: 'image[1].manifest',
    line: 4,
    remedy: /add digest = /,
  },
  {
    name: 'digest without manifest',
    toml: `[[image]]\nname = "a"\nurl = "x"\ndigest = "blake3:${'0'.repeat(64)}"`,
    key: 'image[1].digest',
    line: 4,
    remedy: /add manifest = /,
  },
  {
    name: 'digest of another kind',
    toml: '[[image]]\nname = "a"\nurl = "x"\nmanifest = "m"\ndigest = "sha256:00"',
    key: 'image[1].digest',
    line: 5,
    remedy: /copse image seal/,
  },
  { name: 'sharing', toml: '[[image]]\nname="a"\nurl="x"\nshare="yes"', key: 'image[1].share', line: 4, remedy: /auto, trust, never/ },
  { name: 'id of a node', toml: '[node]\nid = "a/b"', key: 'node.id', line: 2, remedy: /letters, digits/ },
  { name: 'address of a node', toml: '[node]\naddress = "tcp:a:1"', key: 'node.address', line: 2, remedy: /HOST:PORT/ },
  { name: 'address that nobody can dial', toml: '[node]\naddress = "0.0.0.0:1"', key: 'node.address', line: 2, remedy: /HOST:PORT/ },
  { name: 'where peers attach', toml: '[node]\naddress = "a:1"\nlisten = "a:1"', key: 'node.listen', line: 3, remedy: /tcp:HOST:PORT/ },
  { name: 'nothing to listen for', toml: '[node]\nlisten = "tcp:0.0.0.0:1"', key: 'node.listen', line: 2, remedy: /add address = / },
  { name: 'a cluster without address', toml: '[cluster]\nname = "a"', key: 'cluster.name', line: 2, remedy: /address = .* to \[node\]/ },
  { name: 'an empty cluster without address', toml: '[node]\n[cluster]', key: 'cluster', line: 2, remedy: /add address = / },
  { name: 'etcd without address', toml: '[etcd]\nurl = ["http://e:1"]', key: 'etcd.url', line: 2, remedy: /add address = / },
  { name: 'etcd without URL', toml: '[node]\naddress = "a:1"\n[etcd]\nprefix = "/a"', key: 'etcd', line: 3, remedy: /add url = / },
  {
    name: 'peers and etcd',
    toml: '[node]\naddress = "a:1"\n[cluster]\nmembers = ["b:1"]\n[etcd]\nurl = ["http://e:1"]',
    key: 'cluster.members',
    line: 4,
    remedy: /keep one/,
  },
  {
    name: 'auto without etcd',
    toml: '[node]\naddress="a:1"\n[cluster]\nname = "auto"',
    key: 'cluster.name',
    line: 4,
    remedy: /add url = /,
  },
  { name: 'name of a cluster', toml: '[node]\naddress="a:1"\n[cluster]\nname = "a b"', key: 'cluster.name', line: 4, remedy: /letters/ },
  {
    name: 'a member',
    toml: '[node]\naddress="a:1"\n[cluster]\nmembers=["b:1","c"]',
    key: 'cluster.members[2]',
    line: 4,
    remedy: /HOST:PORT/,
  },
  {
    name: 'which to share',
    toml: '[node]\naddress="a:1"\n[cluster]\npeers="weak"',
    key: 'cluster.peers',
    line: 4,
    remedy: /verified-only/,
  },
  { name: 'no round trip', toml: '[node]\naddress="a:1"\n[cluster]\nauto_rtt_us=0', key: 'cluster.auto_rtt_us', line: 4, remedy: /1/ },
  { name: 'no members', toml: '[node]\naddress="a:1"\n[cluster]\nmax_members=0', key: 'cluster.max_members', line: 4, remedy: /1/ },
  {
    name: 'more given than there is',
    toml: '[node]\naddress="a:1"\n[cache]\nsize = "1G"\n[cluster]\ndonate = "2G"',
    key: 'cluster.donate',
    line: 6,
    remedy: /donate less/,
  },
  { name: 'URL of etcd', toml: '[node]\naddress="a:1"\n[etcd]\nurl = ["e:1"]', key: 'etcd.url[1]', line: 4, remedy: /http:\/\/HOST:PORT/ },
  {
    name: 'half of etcd encrypted',
    toml: '[node]\naddress="a:1"\n[etcd]\nurl = ["http://e:1", "https://f:1"]',
    key: 'etcd.url',
    line: 4,
    remedy: /all with https/,
  },
  {
    name: 'authorities for nothing',
    toml: '[node]\naddress="a:1"\n[etcd]\nurl = ["http://e:1"]\nca_file = "c"',
    key: 'etcd.ca_file',
    line: 5,
    remedy: /leave this out/,
  },
  {
    name: 'etcd user without password',
    toml: '[node]\naddress="a:1"\n[etcd]\nurl = ["http://e:1"]\nuser = "u"',
    key: 'etcd.user',
    line: 5,
    remedy: /password_file/,
  },
  {
    name: 'etcd password without user',
    toml: '[node]\naddress="a:1"\n[etcd]\nurl = ["http://e:1"]\npassword = "u"',
    key: 'etcd.password',
    line: 5,
    remedy: /add user/,
  },
  {
    name: 'etcd password that is not there',
    toml: '[node]\naddress="a:1"\n[etcd]\nurl = ["http://e:1"]\nuser = "u"\npassword_file = "nope"',
    key: 'etcd.password_file',
    line: 6,
    remedy: /nope/,
  },
  {
    name: 'prefix',
    toml: '[node]\naddress="a:1"\n[etcd]\nurl = ["http://e:1"]\nprefix = "a/"',
    key: 'etcd.prefix',
    line: 5,
    remedy: /copse/,
  },
  { name: 'a list that is none', toml: 'listen = "unix:x"', key: 'listen', line: 1, remedy: /a list in brackets/ },
  { name: 'a truth in quotes', toml: 'admin_allow_remote = "true"', key: 'admin_allow_remote', line: 1, remedy: /without quotes/ },
  { name: 'a table that is none', toml: 'limit = 5', key: 'limit', line: 1, remedy: /a table/ },
];

t.test('each mistake is named by file, key, line and remedy', async (t) => {
  const dir = t.testdir();
  for (const { name, toml, key, line, remedy } of cases) {
    const problems = await problemsIn(dir, toml);
    t.match(problems, [{ file: join(dir, 'copse.toml'), key, line, message: remedy }], name);
    t.equal(problems.length, 1, `${name}: nothing else`);
  }
});

t.test('all mistakes are told at once, in the order of the file', async (t) => {
  const problems = await problemsIn(t.testdir(), 'stat = 1\nlog_level = "x"\n[cache]\nsize = "y"\n');
  t.same(
    problems.map(({ key, line }) => [key, line]),
    [
      ['stat', 1],
      ['log_level', 2],
      ['cache.size', 4],
    ],
  );
});

t.test('the text of an error', async (t) => {
  const file = join(t.testdir({ 'c.toml': '[cache]\nsize = "y"\n' }), 'c.toml');
  await t.rejects(loadConfig({ file }), { code: 'ERR_CONFIG', message: new RegExp(`^${file}:2: cache\\.size: "y" is not`) });
  await t.rejects(loadConfig({ file: `${file}.none` }), { code: 'ERR_CONFIG', message: /can't be read/ });
});

t.test('flags are named as flags', async (t) => {
  const flags = { listen: ['x'], cache: { size: 'y', min_free: 'z' }, image: [{ name: '/', url: 'u' }], admin: 'q' };
  const error = await loadConfig({ flags }).catch((error: unknown) => error);
  if (!(error instanceof ConfigError)) throw error;
  t.same(error.problems.map(({ key }) => key).sort(), ['--admin', '--cache-size', '--image', '--listen', '--min-free']);
  await t.rejects(loadConfig({ flags: { admin: 'tcp:0.0.0.0:80' } }), { code: 'ERR_CONFIG', message: /command line: --admin/ });
  await t.rejects(loadConfig({ flags: { listen: ['tcp:127.0.0.1:0'], state: `/${'x'.repeat(120)}` } }), {
    code: 'ERR_CONFIG',
    message: /--admin/,
  });

  for (const [flags, key, remedy] of [
    [{ cluster: { members: ['b:1'] } }, '--peer', /add --address HOST:PORT/],
    [{ etcd: { url: ['http://e:1'] } }, '--etcd', /add --address HOST:PORT/],
    [{ cluster: { name: 'a' } }, '--cluster', /add --address HOST:PORT/],
    [{ node: { address: 'a:1' }, cluster: { name: 'auto' } }, '--cluster', /add --etcd URL/],
    [{ node: { address: 'a:1' }, cluster: { members: ['b:1'] }, etcd: { url: ['http://e:1'] } }, '--peer', /keep one/],
    [{ node: { id: '' } }, '--node', /letters/],
    [{ node: { address: 'a' } }, '--address', /HOST:PORT/],
    [{ node: { address: 'a:1' }, cluster: { members: ['b'] } }, '--peer', /HOST:PORT/],
    [{ node: { address: 'a:1' }, etcd: { url: ['e'] } }, '--etcd', /http:\/\/HOST:PORT/],
  ] as const satisfies [FileInput, string, RegExp][]) {
    const wrong = await loadConfig({ flags: structuredClone(flags) as FileInput }).catch((reason: unknown) => reason);
    if (!(wrong instanceof ConfigError)) throw wrong;
    t.match(wrong.problems, [{ file: 'command line', key, message: remedy }], key);
    t.equal(wrong.problems.length, 1, `${key}: nothing else`);
  }
});

t.test('of file and flags, the one that is wrong is named', async (t) => {
  const file = join(t.testdir({ 'c.toml': '[node]\naddress = "a:1"\n[etcd]\nurl = ["http://e:1"]\n[cluster]\ndonate = "1G"\n' }), 'c.toml');
  const placeOf = async (flags: FileInput) => {
    const wrong = await loadConfig({ file, flags }).catch((reason: unknown) => reason);
    return wrong instanceof ConfigError ? wrong.problems.map((problem) => [problem.file, problem.key, problem.line]) : wrong;
  };
  t.same(await placeOf({ cluster: { members: ['b:1'] } }), [['command line', '--peer', undefined]]);
  t.same(await placeOf({ cache: { size: '1M' } }), [[file, 'cluster.donate', 6]]);
});
