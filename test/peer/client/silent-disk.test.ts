/** Views, blocks, maps and calls of a disk through connections that go silent: they end by themselves, and are asked again on new ones. */
import t, { type Test } from 'tap';
import { BlockState, blockBytes } from '../../../src/base/native/overlay.js';
import { parsePeerAddress } from '../../../src/cluster/address.js';
import { PeerBlocks } from '../../../src/peer/client/blocks.js';
import { callExport, callPeer } from '../../../src/peer/client/call.js';
import { connectToPeer } from '../../../src/peer/client/connect.js';
import { PeerDiskView } from '../../../src/peer/client/disk-view.js';
import { mapExport, readPeerMap } from '../../../src/peer/client/map.js';
import { ReadyConnections } from '../../../src/peer/client/ready-connection.js';
import { pattern } from '../../conformance/content.js';
import { ForgetfulRelay } from '../../regression/forgetful-relay.js';
import { ScriptedDevice } from '../../server/scripted-device.js';
import { holds } from '../../support/wait.js';
import { MemoryOverlay, TestDisks, uuid } from '../disk-server.js';
import { servePeers } from '../peer-server.js';

const blockCount = 16;
const content = pattern(blockCount * blockBytes, 5);
/** Far beyond what a silent connection may cost, and below what would look like for ever. */
const deadlineMs = 30_000;

async function stand(t: Test): Promise<{ relay: ForgetfulRelay; peer: { id: string; address: string } }> {
  const contents = new TestDisks('a');
  const overlay = new MemoryOverlay(content);
  overlay.states.fill(BlockState.data);
  contents.blocks = async () => ({ overlay, release: () => {} });
  contents.disk = async () => ({ device: new ScriptedDevice(content, { readOnly: true }), release: () => {} });
  contents.map = async () => ({ blockCount, copy: (target) => void target.fill(BlockState.data), release: () => {} });
  contents.call = async () => ({ yes: true });
  const { address } = await servePeers(t, contents);
  const relay = await ForgetfulRelay.start(t, address);
  return { relay, peer: { id: 'a', address: relay.address } };
}

/** Silences are waited for at once, not one after the other. */
t.test('what is asked of a disk elsewhere goes on', { jobs: 4 }, async (t) => {
  await Promise.all([
    t.test('a view, its reads, flushes and extents', async (t) => {
      const { relay, peer } = await stand(t);
      const view = new PeerDiskView({ peer, uuid, sizeBytes: content.length, selfId: 'b' });
      t.after(() => view.destroy('the test is over'));
      const target = Buffer.alloc(content.length);
      await view.read(target, 0, { deadlineMs });
      t.equal(relay.forget('disk/'), 1);
      target.fill(0);
      await Promise.all([
        view.read(target, 0, { deadlineMs }),
        view.flush({ deadlineMs }),
        view.extents(0, content.length, 9, { deadlineMs }),
      ]);
      t.ok(target.equals(content));
      t.equal(relay.totalCount('disk/'), 2);
    }),
    t.test('blocks that a guest waits for, and those that are only brought, which end and are asked for again', async (t) => {
      const { relay, peer } = await stand(t);
      const blocks = new PeerBlocks({ peer, uuid, sizeBytes: content.length, selfId: 'b' });
      t.after(() => blocks.destroy('the test is over'));
      const target = Buffer.alloc(content.length);
      await blocks.read(target, 0, { deadlineMs });
      await blocks.read(target, 0, { background: true });
      t.equal(relay.forget('blocks/'), 2);
      target.fill(0);
      const brought = blocks.read(Buffer.alloc(blockBytes), 0, { background: true });
      await Promise.all([blocks.read(target, 0, { deadlineMs }), t.rejects(brought, { code: 'ERR_PEER_GONE' })]);
      t.ok(target.equals(content));
      await blocks.read(target, 0, { background: true });
    }),
    t.test('calls and maps on connections that were made ahead', async (t) => {
      const { relay, peer } = await stand(t);
      const ready = new ReadyConnections();
      t.after(() => ready.close());
      const release = [ready.keep(peer, callExport(), 1), ready.keep(peer, mapExport(uuid, 'b'), 1)];
      await holds(() => ready.count(peer, callExport()) === 1 && ready.count(peer, mapExport(uuid, 'b')) === 1);
      t.equal(relay.forget('call', 'map/'), 2);
      const [answer, states] = await Promise.all([
        callPeer(peer, 'disk.test', {}, { ready, timeoutMs: deadlineMs }),
        readPeerMap(peer, uuid, blockCount, { selfId: 'b', ready, timeoutMs: deadlineMs }),
      ]);
      t.same(answer, { yes: true });
      t.ok(states.every((state) => state === BlockState.data));
      for (const end of release) end();
    }),
    t.test('what waits for a goodbye', async (t) => {
      const { relay, peer } = await stand(t);
      const client = await connectToPeer(parsePeerAddress(peer.address), { exportName: mapExport(uuid, 'b') });
      relay.forget('map/');
      const read = client.read(0, 1, { data: () => {}, zeroes: () => {} });
      await Promise.all([t.rejects(read, { code: 'ERR_NBD_SILENT' }), client.disconnect()]);
    }),
  ]);
});
