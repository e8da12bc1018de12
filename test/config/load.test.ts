import { readFile, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'smol-toml';
import t from 'tap';
import { chooseDaemon, type DaemonChoice } from '../../src/config/admin-address.js';
import { configJsonSchema } from '../../src/config/file-schema.js';
import { loadConfig } from '../../src/config/load.js';
import { defaults } from '../../src/config/schema.js';
import { shortDir } from '../support/short-dir.js';

const root = { env: {}, isRoot: true, hostName: 'host-a' };
const examplePath = fileURLToPath(new URL('../../../examples/config/copse.toml', import.meta.url));

t.test('defaults', async (t) => {
  const { blocks, bsize } = await statfs('/');
  const config = await loadConfig({ flags: { state: '/none/such' }, ...root });
  t.same(config, {
    stateDir: '/none/such',
    listen: [{ kind: 'unix', path: '/run/copse/nbd.sock' }],
    listenGiven: false,
    socketMode: 0o660,
    socketGroup: undefined,
    allowRemote: false,
    admin: [{ kind: 'unix', path: '/none/such/admin.sock' }],
    adminAllowRemote: false,
    adminToken: undefined,
    adminNames: [],
    logLevel: 'info',
    server: { fastPath: true },
    cache: { sizeBytes: Math.floor(blocks * bsize * 0.5), minFreeBytes: Math.floor(blocks * bsize * 0.05) },
    imageDefault: defaults.imageDefault,
    limit: defaults.limit,
    node: { id: 'host-a', address: undefined, listen: undefined },
    cluster: undefined,
    etcd: undefined,
    disk: { allowOrigins: [] },
    images: [],
    credentials: [],
  });
});

t.test('places', async (t) => {
  const placesOf = async (env: Record<string, string>, isRoot: boolean) => {
    const { stateDir, listen, admin } = await loadConfig({ env, isRoot });
    return [stateDir, ...listen, ...admin].map((place) => (typeof place === 'string' ? place : place.kind === 'unix' ? place.path : ''));
  };
  t.same(await placesOf({ HOME: '/h', XDG_STATE_HOME: '/s' }, true), [
    '/var/lib/copse',
    '/run/copse/nbd.sock',
    '/var/lib/copse/admin.sock',
  ]);
  t.same(await placesOf({ HOME: '/h' }, false), [
    '/h/.local/state/copse',
    '/h/.local/state/copse/nbd.sock',
    '/h/.local/state/copse/admin.sock',
  ]);
  t.same(await placesOf({ XDG_STATE_HOME: '/s', XDG_RUNTIME_DIR: '/r' }, false), ['/s/copse', '/r/copse/nbd.sock', '/s/copse/admin.sock']);
});

t.test('flags win over the file', async (t) => {
  const dir = shortDir(t);
  const file = join(dir, 'c.toml');
  await writeFile(
    file,
    `state = "s"\nlisten = ["unix:n.sock"]\nlog_level = "warn"\n[server]\nfast_path = true\n[cache]\nsize = "1G"\nmin_free = "1M"
[[image]]\nname = "a"\nurl = "a.raw"\n[[image]]\nname = "b"\nurl = "http://o/b"\ndeadline = "0"\n`,
  );
  const fromFile = await loadConfig({ file, ...root });
  t.equal(fromFile.stateDir, join(dir, 's'), 'relative to the file');
  t.same(fromFile.listen, [{ kind: 'unix', path: join(dir, 'n.sock') }]);
  t.equal(fromFile.listenGiven, true);
  t.same(fromFile.cache, { sizeBytes: 2 ** 30, minFreeBytes: 2 ** 20 });
  t.match(fromFile.images, [
    { name: 'a', url: join(dir, 'a.raw'), deadlineMs: undefined },
    { name: 'b', url: 'http://o/b', deadlineMs: 0 },
  ]);

  const flags = {
    state: 'f',
    listen: ['tcp:[::1]:0'],
    log_level: 'debug',
    server: { fast_path: false },
    cache: { size: '2G' },
    image: [
      { name: 'a', url: 'x.raw' },
      { name: 'c', url: '/c' },
    ],
  } as const;
  const both = await loadConfig({ file, flags: { ...flags, listen: [...flags.listen], image: [...flags.image] }, ...root });
  t.equal(both.stateDir, join(process.cwd(), 'f'), 'relative to the working directory');
  t.same(both.admin, [{ kind: 'unix', path: join(process.cwd(), 'f/admin.sock') }]);
  t.same(both.listen, [{ kind: 'tcp', host: '::1', port: 0 }]);
  t.same(both.cache, { sizeBytes: 2 ** 31, minFreeBytes: 2 ** 20 });
  t.same([fromFile.server, both.server], [{ fastPath: true }, { fastPath: false }]);
  t.equal(both.logLevel, 'debug');
  t.same(
    both.images.map(({ name, url }) => [name, url]),
    [
      ['b', 'http://o/b'],
      ['a', join(process.cwd(), 'x.raw')],
      ['c', '/c'],
    ],
  );
});

t.test('secrets lie in files', async (t) => {
  const dir = t.testdir({
    pw: 'secret\nsecond line\n',
    token: 'tok\r\n',
    empty: '\n',
    'c.toml':
      '[[credential]]\nurl_prefix="http://a"\nuser="u"\npassword_file="pw"\nca_file="ca.pem"\n[[credential]]\nurl_prefix="http://b"\nbearer_file="token"',
    'empty.toml': '[[credential]]\nurl_prefix="http://a"\nbearer_file="empty"',
    'etcd.toml': '[node]\naddress="a:1"\n[etcd]\nurl=["https://e:2"]\nuser="u"\npassword_file="pw"\nca_file="ca.pem"',
  });
  const { credentials } = await loadConfig({ file: join(dir, 'c.toml'), ...root });
  const revealed = credentials.map(({ basic, bearer, ...rest }) => {
    return { ...rest, basic: basic && { ...basic, password: basic.password.reveal() }, bearer: bearer?.reveal() };
  });
  t.same(revealed, [
    { urlPrefix: 'http://a', basic: { user: 'u', password: 'secret' }, bearer: undefined, caFile: join(dir, 'ca.pem') },
    { urlPrefix: 'http://b', basic: undefined, bearer: 'tok', caFile: undefined },
  ]);
  await t.rejects(loadConfig({ file: join(dir, 'empty.toml'), ...root }), { code: 'ERR_CONFIG' });
  const { etcd } = await loadConfig({ file: join(dir, 'etcd.toml'), ...root });
  t.same(
    { ...etcd, password: etcd?.password?.reveal() },
    { urls: ['https://e:2'], user: 'u', password: 'secret', caFile: join(dir, 'ca.pem'), prefix: '/copse' },
  );
});

t.test('commands find the daemon of the same choice', async (t) => {
  const dir = shortDir(t);
  await writeFile(join(dir, 'state.toml'), 'state = "s"');
  await writeFile(join(dir, 'admin.toml'), 'admin = "tcp:127.0.0.1:7"');
  await writeFile(join(dir, 'both.toml'), 'admin = ["tcp:127.0.0.1:7", "unix:a.sock"]');
  await writeFile(join(dir, 'tcp.toml'), 'admin = "tcp:127.0.0.1:7"\nadmin_socket = false\nadmin_token_file = "token"');
  await writeFile(join(dir, 'token'), `${'t'.repeat(16)}\n`, { mode: 0o600 });
  const adminKinds: Record<string, string> = { 'admin.toml': 'unix,tcp', 'both.toml': 'unix,tcp', 'tcp.toml': 'tcp' };
  for (const [file, stateDir] of [
    [undefined, undefined],
    [undefined, 'here'],
    ['state.toml', undefined],
    ['state.toml', 'here'],
    ['admin.toml', 'here'],
    ['both.toml', undefined],
    ['tcp.toml', undefined],
  ] as const) {
    const path = file && join(dir, file);
    const config = await loadConfig({ file: path, flags: stateDir === undefined ? {} : { state: stateDir }, ...root });
    const { address, token } = await chooseDaemon({ file: path, stateDir }, root);
    t.same(address, config.admin[0], `${file}, ${stateDir}`);
    t.equal(token?.reveal(), address.kind === 'tcp' ? config.adminToken?.reveal() : undefined);
    t.same(config.admin.map(({ kind }) => kind).join(), adminKinds[file ?? ''] ?? 'unix', `${file}, ${stateDir}`);
  }
  const env = { ...root, env: { COPSE_ADMIN: 'unix:/e' } };
  const addressOf = async (choice: DaemonChoice) => (await chooseDaemon(choice, env)).address;
  t.same(await addressOf({}), { kind: 'unix', path: '/e' });
  t.same(await addressOf({ stateDir: '/s' }), { kind: 'unix', path: '/s/admin.sock' }, 'what is asked for wins over the environment');
  t.same(await addressOf({ admin: 'tcp:h:1', stateDir: '/s' }), { kind: 'tcp', host: 'h', port: 1 });
  await t.rejects(chooseDaemon({ admin: 'nonsense' }, env), { code: 'ERR_ADDRESS' });
  const withToken = { ...root, env: { COPSE_ADMIN_TOKEN_FILE: join(dir, 'token') } };
  t.equal((await chooseDaemon({ admin: 'tcp:h:1' }, withToken)).token?.reveal(), 't'.repeat(16));
  await writeFile(join(dir, 'open'), 't'.repeat(16), { mode: 0o644 });
  await writeFile(join(dir, 'short'), 'short', { mode: 0o600 });
  for (const tokenFile of ['open', 'short', 'missing'].map((name) => join(dir, name))) {
    await t.rejects(chooseDaemon({ admin: 'tcp:h:1', tokenFile }, root), { code: 'ERR_CONFIG' }, tokenFile);
  }
});

type JsonSchema = { properties?: Record<string, JsonSchema>; items?: JsonSchema; description?: string };

/** Every key that a schema knows, as `image.name`. */
function keysOf(schema: JsonSchema, prefix = ''): string[] {
  const inner = schema.items ?? schema;
  return Object.entries(inner.properties ?? {}).flatMap(([key, value]) => {
    const below = keysOf(value, `${prefix}${key}.`);
    return below.length > 0 ? below : [`${prefix}${key}`];
  });
}

t.test('the example has every key and says the defaults', async (t) => {
  const keys = keysOf(configJsonSchema() as JsonSchema);
  t.ok(
    keys.includes('limit.request_memory') && keys.includes('credential.bearer_file') && keys.includes('image.backing'),
    'keys are found',
  );
  const text = await readFile(examplePath, 'utf8');
  const example = parse(text) as Record<string, unknown>;
  for (const key of keys) {
    const found = key
      .split('.')
      .reduce<unknown[]>((values, part) => values.flatMap((value) => (value as Record<string, unknown>)[part] ?? []), [example]);
    const last = key.split('.').at(-1);
    t.ok(found.length > 0 || text.includes(`# or ${last} = `), key);
  }

  const config = await loadConfig({ file: examplePath, ...root });
  const plain = await loadConfig(root);
  for (const key of [
    'stateDir',
    'allowRemote',
    'admin',
    'adminAllowRemote',
    'logLevel',
    'socketMode',
    'cache',
    'imageDefault',
    'limit',
  ] as const) {
    t.same(config[key], plain[key], `${key} is the default`);
  }
  t.equal(config.images.length, 3);
  t.equal(config.credentials.length, 2);
  const { address } = config.node;
  t.same(config.node.listen, (await loadConfig({ flags: { node: { address } }, ...root })).node.listen, 'listen is the default');
  t.same(config.cluster, {
    name: defaults.cluster.name,
    autoRttUs: defaults.cluster.autoRttUs,
    maxMembers: defaults.cluster.maxMembers,
    members: [],
    donatedBytes: config.cache.sizeBytes,
    peers: defaults.cluster.peers,
  });
  t.equal(config.etcd?.prefix, defaults.etcd.prefix);
});

t.test('the documentation names every key', async (t) => {
  const text = await readFile(fileURLToPath(new URL('../../../docs/reference/configuration.md', import.meta.url)), 'utf8');
  for (const key of keysOf(configJsonSchema() as JsonSchema)) t.match(text, new RegExp(`\`${key.split('.').at(-1)}\``), key);
});
