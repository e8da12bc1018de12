/**
 * Reads the map of a disk from another node: one byte per block, which says where the block is
 * (`disk/overlay/block-map.ts`). A node needs the map when it takes over or copies a disk.
 *
 * Each map has a connection of its own, which may have been made ahead. The other node copies the
 * map at the first read of a connection, so all pieces are of one moment.
 *
 * Invariant: each byte of the result is one that a map may have.
 *
 * Source: docs/reference/peer-protocol.md, `map/UUID`.
 */
import { type Clock, systemClock } from '../../base/clock.js';
import { waitFor } from '../../base/deadline.js';
import { errorCode } from '../../base/error.js';
import { MiB } from '../../base/size.js';
import { parsePeerAddress } from '../../cluster/address.js';
import { PeerError, type PeerTarget } from '../../cluster/peer.js';
import { isBlockByte } from '../../disk/overlay/block-map.js';
import type { NbdReadSink } from '../../nbd/client/contract.js';
import type { NbdClient } from '../../nbd/client/nbd-client.js';
import { formatPeerExport } from '../wire/export-name.js';
import { connectToPeer } from './connect.js';
import { connectError, requestError } from './failure.js';
import type { ReadyConnections } from './ready-connection.js';

export interface PeerMapOptions {
  /**
   * True to have the other node clear the marks of changed blocks as it copies them. If the read
   * fails midway the marks are lost, and the caller has to take all blocks as changed.
   */
  takeChanges?: boolean | undefined;
  /** Id of this node. */
  selfId: string;
  signal?: AbortSignal | undefined;
  /** Timeout of each piece, and of connecting, in ms. Default 10 000. */
  timeoutMs?: number | undefined;
  clock?: Clock | undefined;
  /** Prepared connections, of which a map without changes takes one to `mapExport`. */
  ready?: ReadyConnections | undefined;
}

const pieceBytes = 1 * MiB;
const piecesInFlight = 4;

/** Name of the export, for `ReadyConnections`. */
export function mapExport(uuid: string, selfId: string, changes = false): string {
  return formatPeerExport({ kind: 'map', uuid, from: selfId, changes });
}

/**
 * Reads a map of `blockCount` blocks. Runs of blocks of the base are not transferred.
 *
 * @throws PeerError `ERR_PEER_LIED` (another size, or bytes that no map has), `ERR_PEER_GONE` (not
 *   reached, or silent), `ERR_PEER_REFUSED`; `ERR_ABORTED`
 */
export async function readPeerMap(peer: PeerTarget, uuid: string, blockCount: number, options: PeerMapOptions): Promise<Uint8Array> {
  const { takeChanges = false, selfId, signal, timeoutMs = 10_000, clock, ready } = options;
  const exportName = mapExport(uuid, selfId, takeChanges);
  const address = parsePeerAddress(peer.address);
  const prepared = takeChanges ? undefined : ready?.take(peer, exportName);
  if (prepared !== undefined) {
    try {
      return await readMap(prepared, peer, exportName, blockCount, options);
    } catch (error) {
      // A prepared connection may be dead, or of the time before the disk was opened anew.
      if (errorCode(error) === 'ERR_ABORTED') throw error;
    }
  }
  let client: NbdClient;
  try {
    client = await connectToPeer(address, { exportName, timeoutMs, signal, clock });
  } catch (error) {
    throw errorCode(error) === 'ERR_ABORTED' ? error : connectError(peer.id, exportName, error);
  }
  return readMap(client, peer, exportName, blockCount, options);
}

/** Reads the map on `client`, and ends it. */
async function readMap(
  client: NbdClient,
  peer: PeerTarget,
  exportName: string,
  blockCount: number,
  { signal, timeoutMs = 10_000, clock = systemClock }: PeerMapOptions,
): Promise<Uint8Array> {
  try {
    if (client.sizeBytes !== blockCount) {
      throw new PeerError('ERR_PEER_LIED', peer.id, `${exportName} has ${client.sizeBytes} blocks there and ${blockCount} here`);
    }
    const states = new Uint8Array(blockCount);
    let nextAt = 0;
    const readOn = async (): Promise<void> => {
      for (let at = nextAt; at < blockCount; at = nextAt) {
        nextAt = Math.min(blockCount, at + pieceBytes);
        const read = client.read(at, nextAt - at, mapSink(states, peer.id, exportName), { signal });
        await waitFor(exportName, read, { timeoutMs, clock });
      }
    };
    await Promise.all(Array.from({ length: piecesInFlight }, readOn));
    return states;
  } catch (error) {
    if (errorCode(error) === 'ERR_DEADLINE') {
      throw new PeerError('ERR_PEER_GONE', peer.id, `${exportName}: no answer in time`, { cause: error });
    }
    throw requestError(peer.id, 'map', exportName, error);
  } finally {
    client.destroy();
  }
}

function mapSink(states: Uint8Array, peerId: string, exportName: string): NbdReadSink {
  return {
    data(piece, offset) {
      for (const byte of piece) {
        if (!isBlockByte(byte)) {
          throw new PeerError('ERR_PEER_LIED', peerId, `${exportName}: a block has the unknown state ${byte}`);
        }
      }
      states.set(piece, offset);
    },
    // Zero means: of the base and unchanged. The fresh array says so already.
    zeroes() {},
  };
}
