import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { chooseListener, Listeners } from '../../src/libvirt/listener.js';

const unix = 'nbd+unix:///?socket=/run/copse/nbd.sock';

t.test('a unix socket is preferred, TCP on request', async (t) => {
  const listeners = ['nbd://10.0.0.1:10810', unix, 'nbd+unix:///?socket=/other', 'nbd://10.0.0.2'];
  t.same(chooseListener(listeners), { path: '/run/copse/nbd.sock' });
  t.same(chooseListener(listeners, { tcp: true }), { host: '10.0.0.1', port: 10810 });
  t.same(chooseListener(['nbd://10.0.0.2']), { host: '10.0.0.2', port: 10809 });
});

t.test('every address of a host is written as this host, or as asked', async (t) => {
  t.same(chooseListener([unix, 'nbd://0.0.0.0:1'], { tcp: true }), { host: '127.0.0.1', port: 1 });
  t.same(chooseListener(['nbd://[::]:1']), { host: '::1', port: 1 });
  t.same(chooseListener([unix, 'nbd://0.0.0.0:1'], { host: 'kvm-1' }), { host: 'kvm-1', port: 1 });
});

t.test('without a listener of the kind there is no address', async (t) => {
  t.throws(() => chooseListener([unix], { tcp: true }), { code: 'ERR_NO_LISTENER' });
  t.throws(() => chooseListener([unix], { host: 'kvm-1' }), { code: 'ERR_NO_LISTENER' });
  t.throws(() => chooseListener([]), { code: 'ERR_NO_LISTENER' });
});

t.test('a socket is the same by whichever path', async (t) => {
  const dir = t.testdir();
  const [path, link] = [join(dir, 'socket'), join(dir, 'link')];
  writeFileSync(path, '');
  symlinkSync(path, link);
  const listeners = Listeners.fromUris([`nbd+unix:///?socket=${link}`, 'nbd+unix:///?socket=/not/there']);
  t.ok(listeners.has({ path }));
  t.ok(listeners.has({ path: link }));
  t.ok(listeners.has({ path: '/not/there' }));
  t.notOk(listeners.has({ path: '/nor/there' }));
});

t.test('a TCP listener is the same by whichever name of its host', async (t) => {
  const local = new Set(['localhost', '127.0.0.1', '::1', 'kvm-1', '10.0.0.1']);
  const address = (host: string, port = 10809) => ({ host, port });
  const all = new Listeners([address('0.0.0.0')], local);
  for (const host of local) t.ok(all.has(address(host)), host);
  t.ok(all.has(address('KVM-1')));
  t.notOk(all.has(address('10.0.0.1', 1)), 'the port counts');
  t.notOk(all.has(address('10.0.0.2')), 'another host');

  const elsewhere = new Listeners([address('10.0.0.9')], local);
  t.ok(elsewhere.has(address('10.0.0.9')));
  t.notOk(elsewhere.has(address('localhost')), 'an address that this host does not have');
});
