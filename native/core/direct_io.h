// Reads and writes past the page cache (O_DIRECT). They need aligned file ranges and aligned
// memory; memory that is not aligned goes through a bounce buffer.
#pragma once

#include <cstddef>
#include <cstdint>

#include "status.h"

namespace copse {

// Covers every logical block size in use (512 and 4096), and keeps direct and buffered I/O out of
// each other's pages.
constexpr size_t kDirectAlignBytes = 4096;

inline bool IsDirectRange(size_t size, uint64_t offset) { return size > 0 && (size | offset) % kDirectAlignBytes == 0; }

// Fills all of `target`; the ragged end of the file, which a direct read leaves over, is read
// through `buffered_fd`; beyond it are zeros.
Status ReadDirect(int direct_fd, int buffered_fd, uint8_t* target, size_t size, uint64_t offset);

Status WriteDirect(int direct_fd, const uint8_t* source, size_t size, uint64_t offset, bool durable);

}  // namespace copse
