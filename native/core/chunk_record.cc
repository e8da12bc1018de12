#include "chunk_record.h"

#include "crc32c.h"

namespace copse {
namespace {

void PutU32(uint8_t* target, uint32_t value) {
  for (int i = 0; i < 4; i += 1) target[i] = static_cast<uint8_t>(value >> (8 * i));
}

uint32_t Check(uint8_t state, uint32_t data_crc, uint32_t chunk_index, uint32_t seed) {
  uint8_t bytes[13];
  bytes[0] = state;
  PutU32(bytes + 1, data_crc);
  PutU32(bytes + 5, chunk_index);
  PutU32(bytes + 9, seed);
  return Crc32c(0, bytes, sizeof(bytes)) & 0xffffff;
}

}  // namespace

void EncodeChunkRecord(const ChunkRecord& record, uint32_t chunk_index, uint32_t seed, uint8_t* target) {
  const uint8_t state = static_cast<uint8_t>(record.state);
  const uint32_t check = Check(state, record.data_crc, chunk_index, seed);
  PutU32(target, record.data_crc);
  PutU32(target + 4, state | check << 8);
}

ChunkRecord DecodeChunkRecord(const uint8_t* source, uint32_t chunk_index, uint32_t seed) {
  const uint32_t data_crc = source[0] | source[1] << 8 | source[2] << 16 | static_cast<uint32_t>(source[3]) << 24;
  const uint8_t state = source[4];
  const uint32_t check = static_cast<uint32_t>(source[5] | source[6] << 8 | source[7] << 16);
  const bool known = state == static_cast<uint8_t>(ChunkState::kPresent) || state == static_cast<uint8_t>(ChunkState::kZero);
  if (!known || check != Check(state, data_crc, chunk_index, seed)) return {};
  return {static_cast<ChunkState>(state), data_crc};
}

}  // namespace copse
