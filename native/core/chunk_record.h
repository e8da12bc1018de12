// The 8 bytes that the map file holds for each chunk, little endian:
//   0..3  CRC-32C of the chunk's data (0 for a chunk of zeros)
//   4     state: 1 present, 2 zero; anything else counts as absent
//   5..7  low 24 bits of CRC-32C over state (1 byte), data CRC, chunk index and seed (4 bytes each)
// Pure: no I/O. All zeros, as in a hole or beyond the end of the file, is absent.
#pragma once

#include <cstddef>
#include <cstdint>

#include "chunk_map.h"

namespace copse {

constexpr size_t kChunkRecordBytes = 8;

struct ChunkRecord {
  ChunkState state = ChunkState::kAbsent;
  uint32_t data_crc = 0;
};

void EncodeChunkRecord(const ChunkRecord& record, uint32_t chunk_index, uint32_t seed, uint8_t* target);

// Absent when the check says that the record is torn, rotten or another image's.
ChunkRecord DecodeChunkRecord(const uint8_t* source, uint32_t chunk_index, uint32_t seed);

}  // namespace copse
