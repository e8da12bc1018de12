#include "overlay_sector.h"

#include <cstring>

#include "crc32c.h"
#include "zero_scan.h"

namespace copse {
namespace {

void PutU32(uint8_t* target, uint32_t value) {
  for (int i = 0; i < 4; i += 1) target[i] = static_cast<uint8_t>(value >> (8 * i));
}

void PutCheck(uint8_t* target, const uint8_t* states, uint64_t index, uint32_t seed) {
  uint8_t bound[8];
  PutU32(bound, seed);
  PutU32(bound + 4, static_cast<uint32_t>(index));
  PutU32(target, Crc32c(Crc32c(0, bound, sizeof(bound)), states, kSectorBlocks));
}

}  // namespace

void SealSector(uint8_t* sector, uint64_t index, uint32_t seed) { PutCheck(sector + kSectorBlocks, sector, index, seed); }

bool IsSealedSector(const uint8_t* sector, uint64_t index, uint32_t seed) {
  if (IsAllZero(sector, kSectorBytes)) return true;
  uint8_t check[kSectorBytes - kSectorBlocks];
  PutCheck(check, sector, index, seed);
  return memcmp(check, sector + kSectorBlocks, sizeof(check)) == 0;
}

}  // namespace copse
