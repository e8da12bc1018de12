// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78, RFC 3720 appendix B.4), by SSE4.2 where the
// processor has it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace copse {

// Continues `seed`, the CRC of the bytes before (0 for none): Crc32c(Crc32c(0, a), b) is the CRC of
// a followed by b.
uint32_t Crc32c(uint32_t seed, const uint8_t* data, size_t size);

// The portable version. Processors without SSE4.2 run it, and tests compare with it.
uint32_t Crc32cByTable(uint32_t seed, const uint8_t* data, size_t size);

}  // namespace copse
