/**
 * Encodes the features of an export as transmission flags. Source: doc/proto.md, "Transmission
 * flags".
 */
import type { DeviceFeatures } from '../device/device.js';
import { TransmissionFlag } from '../nbd/codec/constant.js';

export function transmissionFlags(features: DeviceFeatures): number {
  let flags = TransmissionFlag.HAS_FLAGS | TransmissionFlag.SEND_DF | TransmissionFlag.SEND_CACHE | TransmissionFlag.SEND_FLUSH;
  if (features.readOnly) flags |= TransmissionFlag.READ_ONLY;
  else flags |= TransmissionFlag.SEND_FUA;
  if (features.multiConn) flags |= TransmissionFlag.CAN_MULTI_CONN;
  if (features.trim) flags |= TransmissionFlag.SEND_TRIM;
  if (features.writeZeroes) flags |= TransmissionFlag.SEND_WRITE_ZEROES;
  if (features.fastZero) flags |= TransmissionFlag.SEND_FAST_ZERO;
  return flags;
}
