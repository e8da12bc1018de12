import { dirname, join } from 'node:path';
import t from 'tap';
import { Program } from './program.js';

t.test('CPU and memory of a program and its child; a program that ends early says so', async (t) => {
  const dir = t.testdir();
  // The shell is the program, the busy loop its child.
  const script = `const used = () => { const { user, system } = process.cpuUsage(); return user + system; };
    while (used() < 300_000); console.log('spun'); setInterval(() => {}, 1000)`;
  const program = await Program.start({
    command: 'sh',
    args: ['-c', `PATH=${dirname(process.execPath)}:$PATH; node -e "${script}" & trap 'kill $!' TERM; wait $!`],
    logPath: join(dir, 'log'),
    readyText: 'spun',
  });
  t.teardown(() => program.close());
  const used = await program.cpuSeconds();
  // What the kernel tells is in steps of 10 ms.
  t.ok(used > 0.25 && used < 5, `${used} s`);
  t.ok((await program.residentBytes()) > 20 * 2 ** 20);

  const early = Program.start({ command: 'sh', args: ['-c', 'echo oh no >&2; exit 3'], logPath: join(dir, 'log2'), readyText: 'never' });
  await t.rejects(early, { code: 'ERR_PROGRAM', message: /oh no/ });
  const absent = Program.start({ command: 'no-such-program', args: [], logPath: join(dir, 'log3'), readyText: 'never' });
  await t.rejects(absent, { code: 'ERR_PROGRAM' });
  const late = Program.start({ command: 'sleep', args: ['60'], logPath: join(dir, 'log4'), readyText: 'never', timeoutMs: 50 });
  await t.rejects(late, { code: 'ERR_PROGRAM' });
});
