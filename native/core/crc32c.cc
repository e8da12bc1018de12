#include "crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace copse {
namespace {

using Table = std::array<std::array<uint32_t, 256>, 8>;

// Slicing by 8: table[k][b] is the CRC of byte b followed by k zero bytes.
constexpr Table MakeTable() {
  Table table{};
  for (uint32_t byte = 0; byte < 256; byte += 1) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit += 1) crc = (crc >> 1) ^ ((crc & 1) ? 0x82F63B78u : 0u);
    table[0][byte] = crc;
  }
  for (size_t k = 1; k < 8; k += 1) {
    for (size_t byte = 0; byte < 256; byte += 1) {
      const uint32_t before = table[k - 1][byte];
      table[k][byte] = (before >> 8) ^ table[0][before & 0xff];
    }
  }
  return table;
}

constexpr Table kTable = MakeTable();

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t Crc32cByInstruction(uint32_t seed, const uint8_t* data, size_t size) {
  uint64_t crc = ~seed;
  while (size >= 8) {
    uint64_t word;
    memcpy(&word, data, 8);
    crc = _mm_crc32_u64(crc, word);
    data += 8;
    size -= 8;
  }
  uint32_t rest = static_cast<uint32_t>(crc);
  for (; size > 0; size -= 1) rest = _mm_crc32_u8(rest, *data++);
  return ~rest;
}
#endif

using Function = uint32_t (*)(uint32_t, const uint8_t*, size_t);

Function Choose() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) return Crc32cByInstruction;
#endif
  return Crc32cByTable;
}

}  // namespace

uint32_t Crc32cByTable(uint32_t seed, const uint8_t* data, size_t size) {
  uint32_t crc = ~seed;
  for (; size >= 8; size -= 8, data += 8) {
    const uint32_t low = crc ^ (data[0] | data[1] << 8 | data[2] << 16 | static_cast<uint32_t>(data[3]) << 24);
    crc = kTable[7][low & 0xff] ^ kTable[6][(low >> 8) & 0xff] ^ kTable[5][(low >> 16) & 0xff] ^ kTable[4][low >> 24] ^
          kTable[3][data[4]] ^ kTable[2][data[5]] ^ kTable[1][data[6]] ^ kTable[0][data[7]];
  }
  for (; size > 0; size -= 1) crc = (crc >> 8) ^ kTable[0][(crc ^ *data++) & 0xff];
  return ~crc;
}

uint32_t Crc32c(uint32_t seed, const uint8_t* data, size_t size) {
  static const Function chosen = Choose();
  return chosen(seed, data, size);
}

}  // namespace copse
