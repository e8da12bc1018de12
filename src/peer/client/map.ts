/**
 * The map of a disk at another node, a byte a block as `NativeOverlayFile.copyMap` gives them.
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
  /** Have the marks of changed blocks cleared there as they are copied. Where that fails midway they are lost: everything counts as changed then. */
  takeChanges?: boolean | undefined;
  /** This node. */
  selfId: string;
  signal?: AbortSignal | undefined;
  /** For each piece, and for connecting. Default 10 000. */
  timeoutMs?: number | undefined;
  clock?: Clock | undefined;
  /** Where there may be a connection already (`mapExport`): the map is as of the first read. Not for one that takes changes. */
  ready?: ReadyConnections | undefined;
}

const pieceBytes = 1 * MiB;
const piecesInFlight = 4;

/** As `ReadyConnections` knows it. */
export function mapExport(uuid: string, selfId: string, changes = false): string {
  return formatPeerExport({ kind: 'map', uuid, from: selfId, changes });
}

/**
 * Reads a map of `blockCount` blocks over a connection of its own. Runs of base are not transferred, nor touched here.
 *
 * @throws PeerError (`ERR_PEER_LIED`: another size, or bytes that no map has; `ERR_PEER_GONE`: not reached, or silent), `ERR_ABORTED`
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
      // It may have been dead for long, or of what the disk was before.
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

/** Ends the connection. */
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
          throw new PeerError('ERR_PEER_LIED', peerId, `${exportName}: a block has state ${byte}, which there is not`);
        }
      }
      states.set(piece, offset);
    },
    // Base, unchanged: what a fresh array says.
    zeroes() {},
  };
}
