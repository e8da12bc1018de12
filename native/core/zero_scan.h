// Tells if a run of memory is all zeros.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace copse {

// Compares the data with itself, shifted: memcmp is vectorised for the machine at hand, and stops
// at the first difference.
inline bool IsAllZero(const uint8_t* data, size_t size) {
  constexpr size_t kHead = 16;
  for (size_t i = 0; i < size && i < kHead; i += 1) {
    if (data[i] != 0) return false;
  }
  return size <= kHead || memcmp(data, data + kHead, size - kHead) == 0;
}

}  // namespace copse
