// An open file or block device for block I/O: positioned reads and writes, zeroing, holes. Any
// thread may call it; overlapping calls have no order.
//
// Direct I/O keeps two descriptors. A range aligned to 4096 bytes goes past the page cache, through
// an aligned bounce buffer; the rest goes through the page cache. The kernel keeps both views
// coherent, since the two never share a page.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "descriptor.h"
#include "file_io.h"
#include "status.h"

namespace copse {

struct BlockFileOptions {
  bool write = false;
  bool create = false;
  // Best effort: the page cache is used where the file system refuses O_DIRECT.
  bool direct = false;
};

struct FileExtent {
  uint64_t size_bytes;
  bool hole;
};

class BlockFile {
 public:
  static Status Open(const char* path, const BlockFileOptions& options, std::shared_ptr<BlockFile>* opened);

  uint64_t size_bytes() const { return size_bytes_.load(std::memory_order_relaxed); }
  Status AllocatedBytes(uint64_t* bytes) const;
  // Always false for direct files, whose data do not belong in the page cache.
  bool ReadNow(uint8_t* target, size_t size, uint64_t offset);
  Status Read(uint8_t* target, size_t size, uint64_t offset) const;
  Status Write(const uint8_t* source, size_t size, uint64_t offset, bool durable) const;
  Status Zero(uint64_t offset, uint64_t size, bool punch, bool fast_only) const;
  Status Sync() const { return SyncData(fd_.get()); }
  // Consecutive extents from `offset`, adjacent ones differ, at most `max_count`. What lies beyond
  // the end of the file is a hole; a file system that does not know its holes has data everywhere.
  Status Extents(uint64_t offset, uint64_t size, size_t max_count, std::vector<FileExtent>* extents) const;
  Status Truncate(uint64_t size_bytes);

 private:
  Descriptor fd_;
  Descriptor direct_fd_;
  bool block_device_ = false;
  std::atomic<uint64_t> size_bytes_{0};
  PageCacheReader page_cache_;
};

}  // namespace copse
