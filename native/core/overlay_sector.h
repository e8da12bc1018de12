// One sector of an overlay's map file: 512 bytes, which a disk writes whole or not at all. It holds
// the states of 508 blocks, then CRC-32C (u32, little endian) over seed (u32), the sector's index
// (u32) and the states. All zeros, as in a hole, are 508 base blocks. Pure: no I/O.
#pragma once

#include <cstddef>
#include <cstdint>

namespace copse {

constexpr size_t kSectorBytes = 512, kSectorBlocks = 508;

// Completes a sector whose first 508 bytes are there.
void SealSector(uint8_t* sector, uint64_t index, uint32_t seed);

bool IsSealedSector(const uint8_t* sector, uint64_t index, uint32_t seed);

inline uint64_t SectorCount(uint64_t block_count) { return (block_count + kSectorBlocks - 1) / kSectorBlocks; }

}  // namespace copse
