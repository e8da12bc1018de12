#include "direct_io.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "file_io.h"

namespace copse {
namespace {

constexpr size_t kBounceBytes = 1 << 20;

bool IsAligned(const void* memory) { return reinterpret_cast<uintptr_t>(memory) % kDirectAlignBytes == 0; }

struct Free {
  void operator()(uint8_t* memory) const { free(memory); }
};
using Bounce = std::unique_ptr<uint8_t, Free>;

// Null when `memory` is aligned already, or when there is no memory left.
Bounce MakeBounce(const void* memory, size_t size) {
  if (IsAligned(memory)) return nullptr;
  return Bounce(static_cast<uint8_t*>(aligned_alloc(kDirectAlignBytes, std::min(size, kBounceBytes))));
}

}  // namespace

Status ReadDirect(int direct_fd, int buffered_fd, uint8_t* target, size_t size, uint64_t offset) {
  const Bounce bounce = MakeBounce(target, size);
  if (!bounce && !IsAligned(target)) return {ENOMEM, "aligned_alloc"};
  while (size > 0) {
    const size_t part = bounce ? std::min(size, kBounceBytes) : size;
    const ssize_t count = pread(direct_fd, bounce ? bounce.get() : target, part, static_cast<off_t>(offset));
    if (count < 0) {
      if (errno == EINTR) continue;
      return {errno, "pread"};
    }
    if (bounce) memcpy(target, bounce.get(), static_cast<size_t>(count));
    target += count;
    offset += static_cast<uint64_t>(count);
    size -= static_cast<size_t>(count);
    if (static_cast<size_t>(count) < part) return ReadFull(buffered_fd, target, size, offset, AtEnd::kZeros);
  }
  return {};
}

Status WriteDirect(int direct_fd, const uint8_t* source, size_t size, uint64_t offset, bool durable) {
  const Bounce bounce = MakeBounce(source, size);
  if (!bounce && !IsAligned(source)) return {ENOMEM, "aligned_alloc"};
  while (size > 0) {
    const size_t part = bounce ? std::min(size, kBounceBytes) : size;
    if (bounce) memcpy(bounce.get(), source, part);
    const Status status = WriteFull(direct_fd, bounce ? bounce.get() : source, part, offset, durable);
    if (!status.ok()) return status;
    source += part;
    offset += part;
    size -= part;
  }
  return {};
}

}  // namespace copse
